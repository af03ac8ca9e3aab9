"""The gateway's own errors, and the catalogue of all errors that a user can meet."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from connectors.errors import Action, ConnectorError
from storage.errors import ConflictError, NotFoundError, OverloadedError, StorageError, StoreUnavailableError


class GatewayError(Exception):
    """Base of the gateway's errors. `detail` is for people and holds neither secrets nor personal data."""

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    cause: ClassVar[str] = "The gateway failed in a way that it does not explain."
    resolution: ClassVar[str] = "Report it with the log line; whatever was acknowledged is kept and can be retried."
    status: ClassVar[int] = 500
    action: ClassVar[Action] = Action.FAIL

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after = retry_after


# Settings and configuration ----------------------------------------------------------------------------------------


class SettingError(GatewayError):
    """A LEDGERGATE_* name is unknown, or its value is not usable."""

    code = "setting_invalid"
    title = "Setting invalid"
    cause = "An environment variable of ledgergate is unknown or has a value that cannot be used."
    resolution = "Correct the setting that the line names; docs/configuration.md lists them all."
    status = 400


class ConfigFileError(GatewayError):
    """The file given to `apply` cannot be used; nothing was changed."""

    code = "config_invalid"
    title = "Configuration invalid"
    cause = "The file is not valid TOML, has an unknown key, or names a secret that is not set."
    resolution = "Correct the line that is named, then apply again: nothing was changed."
    status = 400


class SecretKeyError(GatewayError):
    """The secret key does not fit the database."""

    code = "secret_key_wrong"
    title = "Secret key wrong"
    cause = "The secrets in the database were encrypted with another key."
    resolution = (
        "Start with the key that belongs to this database: LEDGERGATE_SECRET_KEY or LEDGERGATE_SECRET_KEY_FILE."
    )
    status = 500


class PluginError(GatewayError):
    """A connector or source plugin cannot be used."""

    code = "plugin_unusable"
    title = "Plugin unusable"
    cause = "The plugin is not installed, fails to import, or was written for another version of the interface."
    resolution = "Install or upgrade the plugin, then `ledgergate connection resume NAME`."
    status = 400


class ListenError(GatewayError):
    """The port cannot be listened on."""

    code = "cannot_listen"
    title = "Cannot listen"
    cause = "The address is in use, belongs to another machine, or may not be used by this account."
    resolution = "Stop the other program, or set LEDGERGATE_HOST and LEDGERGATE_PORT to an address that is free."


class GatewayUnreachableError(GatewayError):
    """No gateway answered at the address that was asked."""

    code = "gateway_unreachable"
    title = "Gateway unreachable"
    cause = "Nothing answered at the gateway's own address, or something else than a gateway did."
    resolution = "Start it with `ledgergate serve`, or name its address with `--url` or LEDGERGATE_PUBLIC_URL."
    status = 502


class AccountChangedError(GatewayError):
    """The credentials are of another account than the one that the connection's mappings belong to."""

    code = "account_changed"
    title = "Another account"
    cause = "The credentials belong to another company than the one that this connection was made with."
    resolution = (
        "Connect the same company again, or add another connection: the mappings of one are wrong in the other."
    )
    status = 409


class ConsentInvalidError(GatewayError):
    """What came back from a consent belongs to none that is under way."""

    code = "consent_invalid"
    title = "Consent unknown or expired"
    cause = "The answer belongs to no consent that is under way: it was used before, is too old, or a newer one began."
    resolution = "Start again with `ledgergate connection authorize NAME`, or in the console."
    status = 400


# The door ----------------------------------------------------------------------------------------------------------


class MalformedRequestError(GatewayError):
    """The request cannot be read."""

    code = "malformed_request"
    title = "Malformed request"
    cause = "A header is unreadable or repeated, or the body is encoded or was cut."
    resolution = "Send each signature header once, without Content-Encoding, and the whole body."
    status = 400


class SignatureInvalidError(GatewayError):
    """The delivery is not proven to come from its source. One body for all causes."""

    code = "signature_invalid"
    title = "Signature invalid"
    cause = "The signature or token is missing, wrong, or outside of the five minutes allowed."
    resolution = "Compare the secret at the sender with the source's; `ledgergate source show NAME` tells the reason."
    status = 401


class SourceUnknownError(GatewayError):
    """There is no such source, or it is disabled."""

    code = "source_unknown"
    title = "Source unknown"
    cause = "There is no source of this name, or it is disabled."
    resolution = "Check the URL at the sender; `ledgergate source list` names the sources."
    status = 404


class PayloadTooLargeError(GatewayError):
    """The body is larger than LEDGERGATE_MAX_BODY_BYTES."""

    code = "payload_too_large"
    title = "Payload too large"
    cause = "The body is larger than the gateway accepts."
    resolution = "Raise LEDGERGATE_MAX_BODY_BYTES, or have the sender trim its webhooks."
    status = 413


class MethodNotAllowedError(GatewayError):
    """The address exists, the method does not."""

    code = "method_not_allowed"
    title = "Method not allowed"
    cause = "This address does not know the method."
    resolution = "Use a method that the Allow header names."
    status = 405


# The API -----------------------------------------------------------------------------------------------------------


class KeyMissingError(GatewayError):
    """No API key was sent, or one that does not exist."""

    code = "unauthorized"
    title = "API key missing or unknown"
    cause = "The request has no API key, or one that is unknown or revoked."
    resolution = "Send `Authorization: Bearer <key>`; `ledgergate key create` makes one."
    status = 401


class ForbiddenError(GatewayError):
    """The key may not do this here."""

    code = "forbidden"
    title = "Not allowed"
    cause = "The key belongs to another tenant or environment, or its role does not allow this."
    resolution = "Use a key of that tenant and environment with a higher role."
    status = 403


class RequestInvalidError(GatewayError):
    """A parameter or the body of an API request cannot be used."""

    code = "request_invalid"
    title = "Request invalid"
    cause = "A parameter or the body is missing, of the wrong form, or unknown."
    resolution = "Correct what the detail names; /openapi.json describes every request."
    status = 400


class UnsupportedMediaTypeError(GatewayError):
    """The body is of a kind that this address does not read."""

    code = "unsupported_media_type"
    title = "Unsupported media type"
    cause = "The body's Content-Type is not one that this address reads."
    resolution = "Send JSON with `Content-Type: application/json`; an import of mappings may be `text/csv`."
    status = 415


class AlreadyExistsError(GatewayError):
    """Something of this name is there already."""

    code = "already_exists"
    title = "Already exists"
    cause = "There is one of this name already; names of sources and connections are unique over all tenants."
    resolution = "Choose another name, or change the one that is there with PUT."
    status = 409


class RouteUnknownError(GatewayError):
    """There is nothing at this address."""

    code = "route_unknown"
    title = "No such address"
    cause = "There is nothing at this address."
    resolution = "See /openapi.json for the addresses there are."
    status = 404


class TooManyRequestsError(GatewayError):
    """The caller was throttled."""

    code = "too_many_requests"
    title = "Too many requests"
    cause = "Too many requests, or too many wrong keys, came from this address."
    resolution = "Wait for the time that Retry-After names."
    status = 429


class CustomerNotFoundError(GatewayError):
    """The source does not know the customer, or the gateway has never heard of it."""

    code = "customer_not_found"
    title = "Customer not found"
    cause = "The customer does not exist at the source, or no delivery has spoken of it."
    resolution = "Check the id at the source; if it was restored there, retry the job."
    status = 404


class BodyGoneError(GatewayError):
    """The delivery's body was pruned."""

    code = "body_pruned"
    title = "Body no longer kept"
    cause = "The delivery is older than LEDGERGATE_RETENTION_DAYS, so its headers and body were dropped."
    resolution = "Have the platform send the event again, or retry the delivery's jobs: those read the platform's API."
    status = 410


class RecordUnknownError(GatewayError):
    """The provider says for certain that it has no such record."""

    code = "record_unknown"
    title = "Record unknown to the provider"
    cause = "The provider has no customer with this id."
    resolution = (
        "Look the id up in the provider's own application, and check that it is the account of this connection."
    )
    status = 422


class CapabilityMissingError(GatewayError):
    """The connector cannot do this."""

    code = "capability_missing"
    title = "Not offered by the connector"
    cause = "The connector of this connection does not offer what was asked for."
    resolution = "Use a connection whose connector offers it; `ledgergate connector list` says what each does."
    status = 409


class InvoiceNotPayableError(GatewayError):
    """The invoice cannot be paid as it is."""

    code = "invoice_not_payable"
    title = "Invoice not payable"
    cause = "The invoice is not finalized, or was voided or paid meanwhile."
    resolution = "Look at the invoice on its platform; ask again once it is finalized."
    status = 409


# Sources -----------------------------------------------------------------------------------------------------------


class PayloadInvalidError(GatewayError):
    """An authentic delivery whose body is not what its platform sends."""

    code = "payload_invalid"
    title = "Payload not understood"
    cause = "The body is authentic, but it is not JSON or lacks what every event of the platform has."
    resolution = "Compare it with docs/sources.md; after an upgrade, replay the delivery."
    status = 422


class InvoiceNotFoundError(GatewayError):
    """The source does not know the invoice."""

    code = "invoice_not_found"
    title = "Invoice not found"
    cause = "The invoice does not exist at the source."
    resolution = "Check the id at the source; if it was restored there, retry the job."
    status = 404


class SourceUnavailableError(GatewayError):
    """The source's API did not answer, or failed."""

    code = "source_unavailable"
    title = "Source API unavailable"
    cause = "The billing platform's API could not be reached, failed, or answered with something else than JSON."
    resolution = "Nothing, if it passes: the job is retried. Otherwise check `api_url` of the source."
    status = 502
    action = Action.RETRY


class SourceAuthenticationError(GatewayError):
    """The source's API refused our key."""

    code = "source_authentication_failed"
    title = "Source API key refused"
    cause = "The billing platform refused the API key of the source, or the key may not do this."
    resolution = "Set a new `api_key` for the source; jobs are retried on the schedule and can be retried at once."
    status = 502
    action = Action.RETRY


class SourceRejectedError(GatewayError):
    """The source's API refused what we sent."""

    code = "source_rejected"
    title = "Refused by the source API"
    cause = "The billing platform refused the request, for example a metadata key that it validates."
    resolution = "Correct what the platform's answer names at the customer, then retry the job."
    status = 502


# Work --------------------------------------------------------------------------------------------------------------


class RecordTakenError(GatewayError):
    """The record is linked to another billing customer."""

    code = "record_taken"
    title = "Record linked to another customer"
    cause = "The provider's record is linked to another billing customer already."
    resolution = "Unlink the other one, choose another record, or set the connection to `shared`."
    status = 409
    action = Action.REVIEW


class PlaceholderEmailError(GatewayError):
    """The customer's e-mail address was made up by the platform."""

    code = "placeholder_email"
    title = "Placeholder e-mail address"
    cause = "The e-mail address fits a pattern of addresses that the platform makes up for people who gave none."
    resolution = (
        "Decide in the review: adopt the person's record, create one all the same, or ignore the transaction;"
        " the patterns are the source's option `placeholder_emails`."
    )
    status = 422
    action = Action.REVIEW


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
