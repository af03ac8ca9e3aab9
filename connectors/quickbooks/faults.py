"""QuickBooks' errors in every shape that they come in, sorted into ours by their number.

https://developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/error-codes
The service answers a capital `Fault`, the gateway before it a lower-case `fault` or XML whatever `Accept` says, some
503s are HTML, and HTTP 200 may carry a `Fault`. Codes come with and without leading zeros.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors import http
from connectors.errors import (
    AccountBlockedError,
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    DuplicateRefusedError,
    EdgeBlockedError,
    InvalidEmailError,
    LookupImpossibleError,
    MissingFieldsError,
    NeedsReauthError,
    PermissionRefusedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    StaleRecordError,
    UnexpectedResponseError,
    UnreachableError,
)
from connectors.http import Reply
from connectors.invoice_errors import NumberTakenError
from connectors.quickbooks.privacy import scrub

REQUEST_ID_HEADER = "intuit_tid"
THROTTLE_SECONDS = 60.0
"""What Intuit asks to wait after a 429, which says nothing of it itself."""
MAINTENANCE_SECONDS = 300.0
_LONGEST = 64 * 1024
_MOST_FAULTS = 20

NOT_FOUND = 610
STALE_TOKEN = 5010
CUSTOMER_INACTIVE = 6250
BUSINESS_RULE = 6000
"""Anything from a currency to a tax code: only the Detail says what."""


class NoSuchPageError(EdgeBlockedError):
    """A 404 with a page: from whatever stands in front, or from an API that does not have this at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One error of an answer. Its `repr` shows no text: Details quote what was sent."""

    code: int | None
    message: str = field(default="", repr=False)
    detail: str = field(default="", repr=False)
    element: str = ""
    kind: str = ""


def faults_in(reply: Reply) -> tuple[Fault, ...]:
    """Return the errors that an answer carries, whatever its status and shape; none for HTML and for a good answer."""
    body = reply.body.lstrip()
    if reply.status == 200 and b'ault"' not in body and not body.startswith(b"<"):
        return ()
    if body.startswith(b"{"):
        try:
            decoded = orjson.loads(body)
        except orjson.JSONDecodeError:
            return ()
        return tuple(_from_json(decoded))
    if body.startswith(b"<"):
        return tuple(_from_xml(body[:_LONGEST].decode("utf-8", "replace")))
    return ()


def _from_json(body: Any) -> Iterable[Fault]:
    fault = _get(body, "fault")
    if not isinstance(fault, dict):
        return
    kind = str(_get(fault, "type") or "")
    errors = _get(fault, "error")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    for error in found[:_MOST_FAULTS]:
        text = {name: str(_get(error, name) or "") for name in ("code", "message", "detail", "element")}
        yield Fault(
            code=_number(text["code"]), message=text["message"], detail=text["detail"], element=text["element"],
            kind=kind,
        )  # fmt: skip
    if not found:
        yield Fault(code=None, kind=kind)


def _get(mapping: Any, name: str) -> Any:
    """Return what a mapping has under a name, which is written in two capitalisations."""
    if not isinstance(mapping, Mapping):
        return None
    return mapping.get(name, mapping.get(name.capitalize()))


_XML_FAULT = re.compile(r"<(?:\w+:)?Fault\b([^>]*)>")
_XML_ERROR = re.compile(r"<(?:\w+:)?Error\b([^>]*)>(.*?)</(?:\w+:)?Error>", re.DOTALL)


def _from_xml(text: str) -> Iterable[Fault]:
    # Read by pattern, not by a parser: the shape is fixed, and an XML parser is a door for hostile documents.
    fault = _XML_FAULT.search(text)
    if fault is None:
        return
    kind = _attribute(fault[1], "type")
    errors = _XML_ERROR.findall(text)[:_MOST_FAULTS]
    for attributes, inner in errors:
        yield Fault(
            code=_number(_attribute(attributes, "code")), message=_element(inner, "Message"),
            detail=_element(inner, "Detail"), element=_attribute(attributes, "element"), kind=kind,
        )  # fmt: skip
    if not errors:
        yield Fault(code=None, kind=kind)


def _attribute(attributes: str, name: str) -> str:
    found = re.search(rf"""\b{name}\s*=\s*(?:"([^"]*)"|'([^']*)')""", attributes)
    return html.unescape(found[1] or found[2] or "") if found else ""


def _element(inner: str, name: str) -> str:
    found = re.search(rf"<(?:\w+:)?{name}>(.*?)</(?:\w+:)?{name}>", inner, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def _number(text: str) -> int | None:
    """Return `3001` and `003001` as the same number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


# The policy of each code. Where a range has one policy, `_by_range` has it.
_KINDS: Mapping[int, type[ConnectorError]] = {
    100: AuthenticationError, 3200: AuthenticationError, 3202: AuthenticationError,
    110: NeedsReauthError, 120: NeedsReauthError, 140: NeedsReauthError, 3100: NeedsReauthError,
    130: UnreachableError, 150: UnreachableError,
    600: ProviderError, 620: ProviderError, 10000: ProviderError, STALE_TOKEN: ProviderError,
    NOT_FOUND: StaleRecordError, 2500: StaleRecordError, CUSTOMER_INACTIVE: StaleRecordError,
    2020: MissingFieldsError, 6080: MissingFieldsError, 2210: InvalidEmailError,
    3001: RateLimitedError,
    4000: LookupImpossibleError, 4001: LookupImpossibleError, 4002: LookupImpossibleError,
    10100: LookupImpossibleError,
    5020: PermissionRefusedError, 5030: PermissionRefusedError,
    6190: AccountBlockedError, 10200: ConfigurationError,
}  # fmt: skip
# An answer may hold several errors: what stops the connection comes before what concerns the one customer.
_FIRST = (3001, 150, 3200, 3202, 100, 120, 3100, 110, 140, 6190, 10200, 5020, 5030, 10000, 600, 6240, 6140)
_KNOWN: Mapping[int, str] = {
    100: "not authenticated: the tokens are not of this company or environment",
    120: "not authorised: the person who connected has lost the rights, or has left the company",
    140: "locked out after failed tries",
    150: "the company is under maintenance",
    600: "the request id was used before",
    2500: "a record that is referred to is gone",
    3001: "too many requests",
    3100: "the app may not use this company: disconnected, or of the other environment",
    3200: "the access token is not valid",
    4000: "the query cannot be read",
    4001: "the query is not valid",
    4002: "the query could not be run",
    5020: "the person who connected may not do this",
    5030: "the company's plan does not have this",
    6070: "an amount is not quantity times price",
    6100: "a line has a tax code that the company does not know",
    6140: "the document number is used already",
    6190: "the company cannot be written to: the subscription has ended, or is read-only",
    6200: "the accounting period of this date is closed",
    6210: "the accounting period of this date is closed",
    6240: "the name is already used",
    CUSTOMER_INACTIVE: "the customer is gone or inactive",
    6420: "an e-mail address is needed to send it",
    10000: "QuickBooks failed",
    10200: "the company was reset: its old records are gone, and so is what the mappings point to",
}
_HOLDER = re.compile(r"\b(?:Id|The customer ID is)\s*[=:]\s*(\d{1,20})\b", re.IGNORECASE)
_NUMBERED = re.compile(r"TxnType\s*=\s*(Invoice|SalesReceipt)\b.*?TxnId\s*=\s*(\d{1,20})\b", re.IGNORECASE)


def classifier(private: Iterable[str] = ()) -> Callable[[Reply], ConnectorError | None]:
    """Return the rule that turns an answer into an error. `private` is what was sent, to be kept out of its text."""
    sent = tuple(private)
    return lambda reply: error_in(reply, sent)


def error_in(reply: Reply, private: Iterable[str] = ()) -> ConnectorError | None:
    """Return the error that an answer carries, or None for a good one."""
    faults = faults_in(reply)
    error = _of_fault(_worst(faults), reply, tuple(private)) if faults else _of_status(reply)
    if error is not None:
        error.provider_request_id = reply.headers.get(REQUEST_ID_HEADER)
    return error


def _worst(faults: tuple[Fault, ...]) -> Fault:
    return min(faults, key=lambda fault: _FIRST.index(fault.code) if fault.code in _FIRST else len(_FIRST))


def _of_fault(fault: Fault, reply: Reply, private: tuple[str, ...]) -> ConnectorError:
    code, shown = fault.code, None if fault.code is None else str(fault.code)
    text = _text(fault, reply.status, private)
    wait = http.retry_after(reply.headers)
    if code == 6240:
        holder = _HOLDER.search(fault.detail)
        return DuplicateRefusedError(text, provider_entity_id=holder[1] if holder else None, provider_code=shown)
    if code == 6140:
        document = _NUMBERED.search(fault.detail)
        prefix = "receipt:" if document and document[1].casefold() == "salesreceipt" else ""
        named = f"{prefix}{document[2]}" if document else None
        return NumberTakenError(text, provider_entity_id=named, provider_code=shown)
    kind = RateLimitedError if reply.status == 429 else _KINDS.get(code or 0) or _by_status(fault, reply.status)
    if kind is RateLimitedError:
        wait = wait or THROTTLE_SECONDS
    elif kind is UnreachableError:
        wait = wait or MAINTENANCE_SECONDS
    return kind(text, retry_after=wait, provider_code=shown)


def _by_status(fault: Fault, status: int) -> type[ConnectorError]:
    """Return the policy of a code that is not in the table."""
    kind = fault.kind.casefold()
    if status >= 500 or status == 408 or "system" in kind:
        return ProviderError
    if status == 401 or "authentication" in kind:
        return AuthenticationError
    if status == 403 or "authorization" in kind:
        return PermissionRefusedError
    if status == 200 and "validation" not in kind:
        return UnexpectedResponseError
    return RejectedError


def _of_status(reply: Reply) -> ConnectorError | None:
    """Return what the status alone tells: the body has no fault in a shape that is known."""
    error = http.classify(reply)
    if reply.status == 429:
        return RateLimitedError("HTTP 429", retry_after=http.retry_after(reply.headers) or THROTTLE_SECONDS)
    if reply.status == 404 and reply.is_json:
        return ConfigurationError("HTTP 404: QuickBooks does not know this address; check realm_id and base_url")
    if isinstance(error, RejectedError) and not reply.is_json:
        kind = NoSuchPageError if reply.status == 404 else EdgeBlockedError
        return kind(f"HTTP {reply.status} with a page instead of JSON")
    return error


def _text(fault: Fault, status: int, private: tuple[str, ...]) -> str:
    """Return words for people, without personal data: Details quote names, addresses and whole queries."""
    where = f" in {fault.element}" if re.fullmatch(r"[A-Za-z0-9_.\[\]]{1,60}", fault.element) else ""
    head = f"QuickBooks error {fault.code}{where}" if fault.code is not None else f"HTTP {status}{where}"
    known = _KNOWN.get(fault.code or 0)
    if known is not None:
        return f"{head}: {known}"
    said = ": ".join(part for part in (fault.message.strip(), fault.detail.strip()) if part)
    return f"{head}: {scrub(said, private)}" if said else head
