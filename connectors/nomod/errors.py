"""What Nomod's refusals mean: an answer becomes one of our errors, without personal data in its words."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.errors import (
    AccountBlockedError,
    AuthenticationError,
    ConnectorError,
    DuplicateRefusedError,
    EdgeBlockedError,
    InvalidEmailError,
    MissingFieldsError,
    RateLimitedError,
    RejectedError,
    UnexpectedResponseError,
)
from connectors.http import Reply, classify, retry_after

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
FIELDS = (
    "first_name", "last_name", "email", "phone_number", "business_name", "job_title", "country", "province",
    "street", "city", "zip_code", "metadata",
)  # fmt: skip
"""The request's fields; `metadata` is in the product's specification, not in Nomod's."""

_ADDRESS_CODES = frozenset({"invalid_country_code", "invalid_province_code"})
_BLOCKED_CODES = frozenset({"business_not_enabled", "invalid_business_id"})
_CODE = re.compile(r"[a-z][a-z0-9_]{0,60}")
_PERSONAL = re.compile(r"""\S+@\S+|"[^"]*"|'[^']*'|\+?\d[\d\s().-]{3,}\d""")
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the body of an error says. `message` is redacted; `record` is the id of a customer that it names."""

    code: str = ""
    fields: tuple[str, ...] = ()
    message: str = field(default="", repr=False)
    record: str | None = None

    @property
    def about_address(self) -> bool:
        """Whether the same customer may pass without the address."""
        return self.code in _ADDRESS_CODES

    @property
    def about_metadata(self) -> bool:
        """Whether the same customer may pass without `metadata`."""
        return "metadata" in self.fields


def read_refusal(reply: Reply, *, sent: Iterable[str] = (), fields: Sequence[str] = FIELDS) -> Refusal:
    """Read an error body, whichever of the known shapes it has.

    `sent` are the values to keep out of the message, `fields` those of the request.

    Documented is `{"error": {"message", "code"}}` (https://nomod.com/docs/api-reference/requests-responses); clients
    in public also look for `detail`, `message`, `errors`, and the framework behind the API (Django REST framework, by
    its looks) answers `{"<field>": ["…"]}`.
    """
    if reply.status < 300:
        return Refusal()
    body = _decoded(reply)
    error = body.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else body
    code = _code(inner.get("code")) or _code(error)
    words = [inner.get(key) for key in ("message", "detail")] + [body.get("message"), body.get("detail")]
    message = next((text for text in words if isinstance(text, str) and text.strip()), "")
    named: dict[str, Any] = {}
    for group in (body.get("errors"), inner.get("errors"), inner.get("details"), inner.get("fields"), inner, body):
        if isinstance(group, dict):
            named |= {key: group[key] for key in fields if key in group}
        elif isinstance(group, list):
            named |= {text: "" for entry in group if (text := _field_of(entry, fields))}
    if single := _field_of(inner, fields):
        named.setdefault(single, "")
    if not named:
        named = {name: "" for name in fields if re.search(rf"\b{name}\b", message, re.IGNORECASE)}
    if not message:
        message = next((text for value in named.values() for text in _texts(value)), "")
    return Refusal(
        code=code,
        fields=tuple(name for name in fields if name in named),
        message=redact(message, sent),
        record=_record(inner),
    )


def names_nobody(reply: Reply, record: str) -> bool:
    """Whether the answer to a read by id says that there is none: an id of another form may be refused for its form."""
    return says_not_found(reply) or (UUID.fullmatch(record) is None and reply.status in {400, 404, 405, 422})


def says_not_found(reply: Reply) -> bool:
    """Whether the API itself, and not a proxy before it, says that there is no such record."""
    if reply.status != 404:
        return False
    refusal = read_refusal(reply)
    return refusal.code == "not_found" or (not refusal.code and "not found" in refusal.message.lower())


def classify_read(reply: Reply) -> ConnectorError | None:
    """Return the error of a failed read, None for 2xx. A refused read says nothing about the customer."""
    error = _shared(reply, read_refusal(reply))
    if isinstance(error, RejectedError):
        code = f" {error.provider_code}" if error.provider_code else ""
        return UnexpectedResponseError(f"HTTP {reply.status}{code} for a read", provider_code=error.provider_code)
    return error


def classify_create(reply: Reply, refusal: Refusal) -> ConnectorError | None:
    """Return the error of a failed create, None for 2xx. Refusals in JSON are definite: nothing was created."""
    code, status = refusal.code or None, reply.status
    if 400 <= status < 500 and status not in {401, 408, 429}:
        if refusal.code == "customer_already_exists" or (status == 409 and not is_page(reply)):
            return DuplicateRefusedError(
                _detail(status, refusal), provider_entity_id=refusal.record, provider_code=code
            )
        if refusal.code == "invalid_email":
            return InvalidEmailError(_detail(status, refusal), provider_code=code)
        if refusal.code == "field_required":
            return MissingFieldsError(_detail(status, refusal), provider_code=code)
    error = _shared(reply, refusal)
    if isinstance(error, RejectedError):
        return RejectedError(_detail(status, refusal), provider_code=code)
    return error


def _shared(reply: Reply, refusal: Refusal) -> ConnectorError | None:
    """Sort by status, and by the codes that mean the same wherever they come."""
    error = classify(reply)
    if error is None:
        return None
    error.provider_code = refusal.code or None
    if 400 <= reply.status < 500 and reply.status not in {401, 408, 429}:
        detail = _detail(reply.status, Refusal(code=refusal.code))
        if is_page(reply):
            return EdgeBlockedError(f"HTTP {reply.status} with a page instead of JSON")
        if refusal.code == "not_authenticated":  # the framework answers 403 where it has no challenge to offer
            return AuthenticationError(detail, provider_code=refusal.code)
        if refusal.code == "throttled":
            return RateLimitedError(detail, retry_after=retry_after(reply.headers), provider_code=refusal.code)
        if refusal.code in _BLOCKED_CODES:
            return AccountBlockedError(detail, provider_code=refusal.code)
    return error


def redact(message: str, sent: Iterable[str]) -> str:
    """Take out of a provider's words what was sent, addresses, quotations and numbers, and shorten them."""
    words = {word for value in sent for word in (value, *re.findall(r"\w{3,}", value))} - set(FIELDS) - {""}
    text = " ".join(message[:1024].split())
    for word in sorted(words, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "…", text, flags=re.IGNORECASE)
    text = _PERSONAL.sub("…", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _decoded(reply: Reply) -> dict[str, Any]:
    try:
        body = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {"errors": body}


def is_page(reply: Reply) -> bool:
    """Whether a content delivery network or proxy answered: Nomod's API never sends HTML."""
    return reply.body.lstrip()[:1] == b"<"


def _code(value: object) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _field_of(entry: object, fields: Sequence[str]) -> str:
    """Return the field that an entry such as `{"field": "email", …}` names."""
    if not isinstance(entry, dict):
        return ""
    names = (entry.get(key) for key in ("field", "param", "attr", "name"))
    return next((name for name in names if isinstance(name, str) and name in fields), "")


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _record(inner: dict[str, Any]) -> str | None:
    """Return the customer id that a refusal names. Nomod documents none: it is a hint, to be verified by id."""
    for key in ("customer_id", "customer", "existing_customer_id", "id"):
        value = inner.get(key)
        if isinstance(value, dict):
            value = value.get("id")
        if isinstance(value, str) and UUID.fullmatch(value):
            return value
    return None


def _detail(status: int, refusal: Refusal) -> str:
    parts = [f"HTTP {status}", refusal.code, f"({', '.join(refusal.fields)})" if refusal.fields else ""]
    head = " ".join(part for part in parts if part)
    return f"{head}: {refusal.message}" if refusal.message else head
