"""What is wrong with a request, at the door or at the API."""

from gateway.errors.base import GatewayError


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


class InvoiceVoidedError(GatewayError):
    """Something was to be created for an invoice that the platform has voided."""

    code = "invoice_voided"
    title = "Invoice voided"
    cause = "The platform has voided the invoice since the question was asked."
    resolution = (
        "Decide ignore; where a record of the invoice stands at the provider, adopt it: it is linked, and voided there."
        " A payment link is switched off by itself."
    )
    status = 409


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
    cause = "The invoice is not finalized, was voided or paid meanwhile, or its page asks for another sum than is open."
    resolution = "Look at the invoice on its platform; ask again once it is finalized."
    status = 409
