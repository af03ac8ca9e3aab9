"""A command to try a source with, ready to be copied: it signs with a secret from the environment, never with ours."""

import shlex
from collections.abc import Mapping
from typing import Any

BODY = '{"type":"ledgergate.test","event_type":"ledgergate.test","data":{}}'
VARIABLE = "WEBHOOK_SECRET"


def curl_of(source: Mapping[str, Any]) -> str:
    """Return the command for a POSIX shell with curl and openssl. It asks for the secret in `WEBHOOK_SECRET`."""
    url = shlex.quote(str(source["url"]))
    if source["verification"] == "static-header":
        header = str(source["header"])
        return (
            f"printf '%s: %s' {shlex.quote(header)} \"${VARIABLE}\" |\n"
            f"  curl -sS -X POST {url} -H @- \\\n"
            f"  -H 'Content-Type: application/json' --data {shlex.quote(BODY)}"
        )
    if source["verification"] == "intuit-signature":
        return (
            f"body={shlex.quote(BODY)}\n"
            f'sig=$(printf %s "$body" | openssl dgst -sha256 -hmac "${VARIABLE}" -binary | openssl base64 -A)\n'
            f'curl -sS -X POST {url} -H "intuit-signature: $sig" \\\n'
            "  -H 'Content-Type: application/json' --data \"$body\""
        )
    return (
        f"body={shlex.quote(BODY)}\n"
        "id=msg_$(date +%s); ts=$(date +%s)\n"
        f"key=$(printf %s \"${{{VARIABLE}#whsec_}}\" | openssl base64 -d -A | od -An -vtx1 | tr -d ' \\n')\n"
        'sig=$(printf %s "$id.$ts.$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary'
        " | openssl base64 -A)\n"
        f"curl -sS -X POST {url} \\\n"
        '  -H "webhook-id: $id" -H "webhook-timestamp: $ts" -H "webhook-signature: v1,$sig" \\\n'
        "  -H 'Content-Type: application/json' --data \"$body\""
    )
