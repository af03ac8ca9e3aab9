"""What goes wrong while a delivery is worked off: its body, its platform, its record."""

from connectors.errors import Action
from gateway.errors.base import GatewayError


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


class InvoiceUnreadableError(GatewayError):
    """The source's invoice has a line or an amount that cannot be read exactly."""

    code = "invoice_unreadable"
    title = "Invoice cannot be read"
    cause = "A line or an amount of the invoice at the source is missing, or is not a number."
    resolution = "Correct the invoice at the source, then retry the job; nothing is guessed, and no line is left out."
    status = 422


class AmountDiffersError(GatewayError):
    """The invoice's parts do not come to its total."""

    code = "amount_differs"
    title = "Sums differ"
    cause = "What the lines, discounts, credits and taxes come to is not the total, or the provider has another total."
    resolution = (
        "Compare both sums in the review. `adopt` links an invoice that is there, with its sum as it is; `create` makes"
        " one as soon as the platform's own sums agree; `ignore` leaves both sides as they are."
    )
    status = 422
    action = Action.REVIEW


class CustomerNotLinkedError(GatewayError):
    """An invoice cannot be made yet: its customer is not linked on this connection."""

    code = "customer_not_linked"
    title = "Customer not linked"
    cause = "The invoice's customer is not linked to a record on this connection, or that link waits for a decision."
    resolution = "Decide the customer's review, or link the customer; the invoice is tried again by itself."
    status = 409
    action = Action.RETRY


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
    resolution = "Unlink the other one, or choose another record."
    status = 409
    action = Action.REVIEW


class PaymentDiffersError(GatewayError):
    """A payment is not what was asked for."""

    code = "payment_differs"
    title = "Payment differs"
    cause = (
        "A payment at the provider has another sum or currency than our record asks for, or than was counted before;"
        " it is more than is open, for a voided invoice, or by a payment link that another one has followed."
    )
    resolution = (
        "Compare both in the review, and put it right at the platform by hand; then `ignore` the review. `create` and"
        " `adopt` look at the payment again."
    )
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
