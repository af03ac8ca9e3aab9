"""What goes wrong when somebody is to be told of an alert."""

from connectors.errors import Action
from gateway.errors.base import GatewayError


class AlertNotDeliveredError(GatewayError):
    """The endpoint or the mail server did not take a message."""

    code = "alert_not_delivered"
    title = "Alert not delivered"
    cause = "The channel's endpoint or the mail server could not be reached, or did not take the message."
    resolution = (
        "Nothing, if it passes: it is tried again on the schedule. `ledgergate channel test NAME` tries at once."
    )
    status = 502
    action = Action.RETRY


class AlertAddressError(GatewayError):
    """A channel leads to an address that the installation does not allow."""

    code = "alert_address_refused"
    title = "Alert address refused"
    cause = "The channel's URL leads to a loopback, private or link-local address."
    resolution = (
        "Name a public address, or set LEDGERGATE_ALLOW_PRIVATE_ADDRESSES where all that is near is meant to be."
    )
    status = 400
    action = Action.RETRY


class MailNotConfiguredError(GatewayError):
    """There is a channel for e-mail, and no mail server."""

    code = "mail_not_configured"
    title = "No mail server configured"
    cause = "A channel sends e-mail, and LEDGERGATE_SMTP_URL or LEDGERGATE_SMTP_FROM is not set."
    resolution = "Set both for every process that works; what waits is sent then."
    status = 409
    action = Action.RETRY
