"""The catalogue of all errors that a user can meet, their HTTP status, and how each is told."""

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.errors import ConnectorError
from gateway.errors.base import GatewayError
from storage.errors import ConflictError, NotFoundError, OverloadedError, StorageError, StoreUnavailableError

Known = type[GatewayError] | type[ConnectorError] | type[StorageError]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEntry:
    """One line of the error table."""

    code: str
    title: str
    cause: str
    resolution: str
    action: str
    may_have_written: bool


def catalogue() -> list[ErrorEntry]:
    """Return every error of the gateway, the connectors loaded so far and the store, by code."""
    found: dict[str, ErrorEntry] = {}
    bases: tuple[Known, ...] = (GatewayError, ConnectorError, StorageError)
    for base in bases:
        for kind in _family(base):
            action = getattr(kind, "action", None)
            entry = ErrorEntry(
                code=kind.code,
                title=kind.title,
                cause=kind.cause,
                resolution=kind.resolution,
                action=str(action) if action else "none",
                may_have_written=bool(getattr(kind, "may_have_written", False)),
            )
            found.setdefault(kind.code, entry)
    return sorted(found.values(), key=lambda entry: entry.code)


def _family(base: Known) -> Iterator[Known]:
    yield base
    for kind in base.__subclasses__():
        yield from _family(kind)


def status_of(error: BaseException) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, GatewayError):
        return error.status
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, ConflictError):
        return 409
    if isinstance(error, OverloadedError | StoreUnavailableError):
        return 503
    if isinstance(error, StorageError):
        return 400 if error.code in ("cursor_invalid", "value_unstorable") else 500
    return 502 if isinstance(error, ConnectorError) else 500


def problem(error: BaseException) -> dict[str, object]:
    """Return an error as the members of an RFC 9457 problem, for answers, attempts and logs alike."""
    if isinstance(error, GatewayError | ConnectorError | StorageError):
        body: dict[str, object] = {
            "type": f"urn:ledgergate:error:{error.code}",
            "code": error.code,
            "title": error.title,
            "detail": error.detail or error.title,
            "cause": error.cause,
            "resolution": error.resolution,
        }
        if isinstance(error, ConnectorError):
            for name in ("provider_code", "provider_request_id"):
                if getattr(error, name) is not None:
                    body[name] = getattr(error, name)
        return body
    return problem(GatewayError(type(error).__name__))
