"""The routes beside the API, described for the same document: the door, health, metrics, consent, the document."""

from collections.abc import Mapping
from typing import Any

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _answers(**by_status: str) -> dict[str, Any]:
    """Return answers by status, `s202="…"`; those of 400 and above are problems."""
    told: dict[str, Any] = {}
    for name, description in by_status.items():
        status = name.removeprefix("s")
        told[status] = {"description": description, **({"content": PROBLEM} if int(status) >= 400 else {})}
    return told


def _with(answers: Mapping[str, Any], status: str, media: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**answers, status: {**answers[status], "content": {media: {"schema": schema}}}}


_STORED = {
    "type": "object",
    "required": ["delivery_id", "duplicate"],
    "properties": {"delivery_id": {"type": "string"}, "duplicate": {"type": "boolean"}},
}
_DOOR = _answers(
    s200="It was stored before: the same source and delivery key.",
    s202="Stored, and synced to disk.",
    s400="`malformed_request`: a header cannot be read or stands twice, or the body is encoded or cut.",
    s401="`signature_invalid`: missing, stale, future or wrong; one body for all causes.",
    s404="`source_unknown`: there is no such source, or it is disabled.",
    s405="`method_not_allowed`",
    s413="`payload_too_large`",
    s503="`overloaded` or `store_unavailable`: send it again, after the seconds of `Retry-After`.",
)
_DOOR = _with(_with(_DOOR, "200", "application/json", _STORED), "202", "application/json", _STORED)
_READY = _answers(s200="Ready.", s503="Not ready; `reasons` says why.")
_STATE = {
    "type": "object",
    "required": ["status", "reasons"],
    "properties": {"status": {"type": "string"}, "reasons": {"type": "array", "items": {"type": "string"}}},
}
_READY = _with(_with(_READY, "200", "application/json", _STATE), "503", "application/json", _STATE)
_HTML = {"type": "string"}

PATHS: dict[str, Any] = {
    "/": {
        "get": {
            "operationId": "front",
            "tags": ["description"],
            "summary": "Lead a person to the console.",
            "security": [],
            "responses": _answers(s303="To `/console`."),
        }
    },
    "/webhooks/{source}": {
        "post": {
            "operationId": "receive_webhook",
            "tags": ["webhooks"],
            "summary": "Take in a signed webhook.",
            "description": "Signed as Standard Webhooks (`svix-*` or `webhook-*` headers), or with a static header, as"
            " the source is set up. The signature is checked over the raw body before anything is read of it.",
            "security": [],
            "parameters": [
                {"name": "source", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {}}}},
            "responses": _DOOR,
        }
    },
    "/healthz": {
        "get": {
            "operationId": "healthz",
            "tags": ["health"],
            "summary": "Whether the process answers at all.",
            "security": [],
            "responses": _with(
                _answers(s200="It does."),
                "200",
                "application/json",
                {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
            ),
        }
    },
    "/readyz": {
        "get": {
            "operationId": "readyz",
            "tags": ["health"],
            "summary": "Whether the store can be written and the worker lives.",
            "security": [],
            "responses": _READY,
        }
    },
    "/metrics": {
        "get": {
            "operationId": "metrics",
            "tags": ["health"],
            "summary": "Metrics in Prometheus' text format.",
            "security": [],
            "responses": _with(_answers(s200="The metrics."), "200", "text/plain", {"type": "string"}),
        }
    },
    "/openapi.json": {
        "get": {
            "operationId": "openapi",
            "tags": ["description"],
            "summary": "This document.",
            "security": [],
            "responses": _with(_answers(s200="OpenAPI 3.1."), "200", "application/json", {"type": "object"}),
        }
    },
    "/docs": {
        "get": {
            "operationId": "docs",
            "tags": ["description"],
            "summary": "This document as a page.",
            "security": [],
            "responses": _with(_answers(s200="A page."), "200", "text/html", _HTML),
        }
    },
    "/oauth/start/{connection}": {
        "get": {
            "operationId": "start_consent",
            "tags": ["consent"],
            "summary": "Follow a one-time link to the provider's consent page.",
            "security": [],
            "parameters": [
                {"name": "connection", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
                {"name": "token", "in": "query", "required": True, "schema": {"type": "string"}},
            ],
            "responses": {
                "302": {"description": "To the provider."},
                **{
                    status: {"description": text, "content": {"text/html": {"schema": _HTML}}}
                    for status, text in (
                        ("400", "The link is unknown, used or expired."),
                        ("404", "The connection was removed."),
                    )
                },
            },
        }
    },
    "/oauth/callback": {
        "get": {
            "operationId": "finish_consent",
            "tags": ["consent"],
            "summary": "Take what the provider sends the person back with.",
            "security": [],
            "parameters": [
                {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
                for name in ("state", "code", "realmId", "error")
            ],
            "responses": {
                status: {"description": text, "content": {"text/html": {"schema": _HTML}}}
                for status, text in (
                    ("200", "Connected; the page names the company."),
                    ("400", "The answer belongs to no consent that is under way."),
                    ("409", "It is another company than the one that the connection's mappings belong to."),
                    ("502", "The provider refused, or did not answer."),
                )
            },
        }
    },
}
