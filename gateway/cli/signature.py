"""`signature`: sign a body as a sender would, or find out why one is refused."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli import output
from gateway.cli.opened import Opened, load_settings, run
from gateway.cli.options import Json, SecretStdin, command, noun, wrong_usage

if TYPE_CHECKING:
    from gateway.sources.base import SourceConfig

app = noun("Signatures: sign a body as a sender would, or find out why one is refused.")

STDIN = Path("-")
MAX_BODY = 64 * 1024 * 1024
Body = Annotated[Path, typer.Argument(help="The file with the body; - for stdin.")]
Secret = Annotated[
    list[str] | None, typer.Option("--secret", metavar="REF", help="env:NAME or file:PATH; several are all tried.")
]
Source = Annotated[str | None, typer.Option("--source", help="Use the secrets of this source.")]


@command(
    app,
    "sign",
    "signature sign body.json --secret env:WEBHOOK_SECRET",
    "signature sign body.json --source tithely-main > headers.txt",
)
def sign(
    body: Body,
    *,
    secret: Secret = None,
    secret_stdin: SecretStdin = False,
    source: Source = None,
    scheme: Annotated[Literal["webhook", "svix"], typer.Option("--scheme", help="The family of headers.")] = "webhook",
    message_id: Annotated[str | None, typer.Option("--id", help="The message's id; default: a fresh one.")] = None,
    timestamp: Annotated[int | None, typer.Option("--timestamp", help="Unix seconds; default: now.")] = None,
    json: Json = False,
) -> None:
    """Print the headers that a sender of this body would send; `curl -H @headers.txt` takes them as they are."""
    from gateway.errors import ConfigFileError
    from gateway.sources import signing
    from gateway.sources.base import Verification, signed_headers

    config = _config(body, secret, source, secret_stdin=secret_stdin)
    moment = timestamp if timestamp is not None else int(time.time())
    named = message_id or f"msg_{_token()}"
    try:
        if config.verification == Verification.STANDARD_WEBHOOKS:
            content = _read(body)
            headers = signing.sign(config.secrets[0], message_id=named, timestamp=moment, body=content, scheme=scheme)
        else:
            content = b"" if config.verification == Verification.STATIC_HEADER else _read(body)
            headers = signed_headers(config, content, message_id=named, timestamp=moment)
    except signing.SecretInvalidError as error:
        raise ConfigFileError(str(error)) from None
    except ValueError as error:
        wrong_usage(str(error))
    if json:
        output.print_json({"headers": headers})
        return
    for name, value in headers.items():
        output.line(f"{name}: {value}")


@command(
    app,
    "verify",
    "signature verify body.json --headers headers.txt --secret env:WEBHOOK_SECRET",
    "signature verify body.json --header 'webhook-id: msg_1' --header 'webhook-timestamp: 1768904400' "
    "--header 'webhook-signature: v1,…' --source tithely-main --at 1768904400",
)
def verify(
    body: Body,
    *,
    header: Annotated[
        list[str] | None, typer.Option("--header", metavar="LINE", help="NAME: VALUE, as it came.")
    ] = None,
    headers: Annotated[Path | None, typer.Option("--headers", help="A file with one such line each.")] = None,
    secret: Secret = None,
    secret_stdin: SecretStdin = False,
    source: Source = None,
    at: Annotated[int | None, typer.Option("--at", help="Check as of this Unix second; default: now.")] = None,
    json: Json = False,
) -> None:
    """Check a captured request. Exit code 1 when it is refused, with the reason that senders are never told."""
    from gateway.errors import ConfigFileError
    from gateway.sources.base import verifier_of
    from gateway.sources.signing import SecretInvalidError, SignatureRefusedError

    config = _config(body, secret, source, secret_stdin=secret_stdin)
    given = _headers(header or [], headers, config)
    try:
        verifier = verifier_of(config.verification, config.secrets, header=config.header)
        verified = verifier.verify(given, _read(body), now=float(at if at is not None else time.time()))
    except SecretInvalidError as error:
        raise ConfigFileError(str(error)) from None
    except SignatureRefusedError as refused:
        if json:
            output.print_json({"valid": False, "reason": refused.reason.value})
        output.hint(f"signature_invalid: {refused.reason.value}. {_advice(refused.reason.value)}")
        raise typer.Exit(1) from None
    done = {
        "valid": True, "scheme": verified.scheme, "delivery_key": verified.delivery_key,
        "secret_index": verified.secret_index,
    }  # fmt: skip
    if json:
        output.print_json(done)
    else:
        output.print_facts(done)


def _config(body: Path, references: list[str] | None, source: str | None, *, secret_stdin: bool) -> "SourceConfig":
    """Return what to sign or verify with: a source of the database, or secrets that were given."""
    from gateway.cli.given import read_stdin, referenced
    from gateway.sources.base import SourceConfig, Verification

    if (references is not None) + (source is not None) + secret_stdin != 1:
        wrong_usage("give the secret one way: --secret env:NAME, --secret file:PATH, --secret-stdin or --source NAME")
    if secret_stdin and body == STDIN:
        wrong_usage("standard input is either the secret or the body")
    if source is not None:
        return run(lambda desk: _stored(desk, source))
    load_settings()
    secrets = [read_stdin()] if secret_stdin else [referenced(each, option="--secret") for each in references or []]
    return SourceConfig(
        name="", platform="", tenant_id="", environment_id="", verification=Verification.STANDARD_WEBHOOKS,
        secrets=tuple(secrets),
    )  # fmt: skip


async def _stored(desk: Opened, name: str) -> "SourceConfig":
    from gateway.configuration import rows

    return rows.source_config(await desk.operations.sources.row(name), desk.vault)


def _headers(lines: list[str], file: Path | None, config: "SourceConfig") -> Any:
    """Return the headers, repeated ones twice, as they came."""
    from multidict import CIMultiDict

    if any(_name(text) == (config.header or "x-api-key").lower() for text in lines if config.header is not None):
        wrong_usage("--header: a token is a secret and no argument; put the headers into a file, and use --headers")
    given: CIMultiDict[str] = CIMultiDict()
    for text in [*lines, *(_lines(file) if file is not None else [])]:
        name, mark, value = text.partition(":")
        if not mark or not name.strip():
            wrong_usage("headers: write NAME: VALUE")
        given.add(name.strip(), value.strip())
    return given


def _lines(file: Path) -> list[str]:
    try:
        return [text for text in file.read_text("utf-8").splitlines() if text.strip()]
    except UnicodeDecodeError:
        wrong_usage("--headers: the file is not UTF-8")


def _name(text: str) -> str:
    return text.partition(":")[0].strip().lower()


def _read(body: Path) -> bytes:
    if body == STDIN:
        return sys.stdin.buffer.read(MAX_BODY)
    return body.read_bytes()


def _token() -> str:
    import secrets

    return secrets.token_hex(12)


def _advice(reason: str) -> str:
    from gateway.operations.doctor_state import NEXT_STEPS

    return NEXT_STEPS.get(reason, "Compare the headers with what the sender's documentation says.").format(name="NAME")
