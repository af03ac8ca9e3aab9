"""What a connector may raise. The class is the policy: it says what happens next and whether something may be written.

ConnectorError
├── UnreachableError            unreachable               retry, nothing was sent
├── RateLimitedError            rate_limited              retry, nothing was done
├── EdgeBlockedError            edge_blocked              retry, nothing was done
├── ProviderError               provider_api_error        retry, may have been done
│   └── UnexpectedResponseError unexpected_response       retry, may have been done
├── OutcomeUnknownError         outcome_unknown           look again, then ask a person
├── LookupImpossibleError       lookup_impossible         ask a person
├── DuplicateRefusedError       email_already_exists      look again, then ask a person
├── StaleRecordError            record_stale              ask a person
├── RejectedError               rejected                  fail the job
│   ├── MissingFieldsError      missing_required_fields   fail the job
│   └── InvalidEmailError       invalid_email             fail the job
└── PauseError                  (abstract)                pause the connection, jobs wait
    ├── AuthenticationError     authentication_failed
    ├── NeedsReauthError        needs_reauth
    ├── PermissionRefusedError  permission_refused
    ├── AccountBlockedError     account_blocked
    └── ConfigurationError      configuration_invalid
        └── AddressRefusedError address_refused
"""

from enum import StrEnum
from typing import ClassVar


class Action(StrEnum):
    """What the gateway does about an error."""

    RETRY = "retry"
    PAUSE = "pause"
    FAIL = "fail"
    REVIEW = "review"


class ConnectorError(Exception):
    """Base of all that a connector may raise.

    `detail` is for people: it must hold neither secrets nor personal data. `retry_after` is in seconds.
    `provider_code` and `provider_request_id` are kept with the attempt (Intuit's `intuit_tid`, for example). `at_once`
    says that what stood in the way is out of it by now: where nothing else has failed, the next try comes at once.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    cause: ClassVar[str] = "The connector failed in a way that it does not explain."
    resolution: ClassVar[str] = "Report it with the attempt's log line; retry the job after an upgrade."
    action: ClassVar[Action] = Action.RETRY
    may_have_written: ClassVar[bool] = True
    at_once: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        retry_after: float | None = None,
        provider_code: str | None = None,
        provider_request_id: str | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after = retry_after
        self.provider_code = provider_code
        self.provider_request_id = provider_request_id


class UnreachableError(ConnectorError):
    """No connection could be made, so nothing was sent."""

    code = "unreachable"
    title = "Provider unreachable"
    cause = "No connection to the provider could be made: name look-up, refused connection or TLS."
    resolution = "Nothing, if it passes: the job is retried. Otherwise check network, proxy and `base_url`."
    may_have_written = False


class RateLimitedError(ConnectorError):
    """The provider answered 429; `retry_after` is kept where it was sent."""

    code = "rate_limited"
    title = "Rate limit reached"
    cause = "The provider refused the request because too many were sent."
    resolution = "Nothing: the connection waits as long as the provider asks, and goes on."
    may_have_written = False


class EdgeBlockedError(ConnectorError):
    """A proxy in front of the provider refused the request before the API saw it."""

    code = "edge_blocked"
    title = "Blocked before the provider's API"
    cause = "A content delivery network in front of the API answered with a page instead of JSON (HTTP 403)."
    resolution = "Check that the gateway's address is not blocked; the API key is not at fault. The job is retried."
    may_have_written = False


class ProviderError(ConnectorError):
    """The provider failed (5xx, timeout or cut after sending): a write may have happened."""

    code = "provider_api_error"
    title = "Provider API error"
    cause = "The provider answered with a server error, or did not answer in time."
    resolution = "Nothing, if it passes: the job is retried. Look at the provider's status page if it stays."


class UnexpectedResponseError(ProviderError):
    """The answer could not be understood: a write may have happened."""

    code = "unexpected_response"
    title = "Unexpected answer"
    cause = "The provider's answer was not what its API describes: no JSON, a redirect, or a field is missing."
    resolution = "The job is retried. If it stays, report it with the attempt's log line."


class OutcomeUnknownError(ConnectorError):
    """An earlier create may have happened and cannot be seen (yet)."""

    code = "outcome_unknown"
    title = "Outcome of a create unknown"
    cause = "The answer to a create was lost. The record may exist, though look-ups do not show it."
    resolution = (
        "The gateway looks again. If it asks you: search the provider, then adopt the record or allow a create."
    )
    action = Action.REVIEW


class LookupImpossibleError(ConnectorError):
    """The provider cannot be asked for this customer, which is not the same as "not found"."""

    code = "lookup_impossible"
    title = "Look-up impossible"
    cause = "The provider cannot search for this customer, so it cannot be proven whether a record exists."
    resolution = "Search in the provider by hand, then adopt the record or allow a create in the review."
    action = Action.REVIEW
    may_have_written = False


class DuplicateRefusedError(ConnectorError):
    """The provider refused a create since an equal record exists. `provider_entity_id` where the answer names it."""

    code = "email_already_exists"
    title = "Email already exists"
    cause = "The provider has a customer with this e-mail address or name, which is not known to be this one."
    resolution = "Decide in the review: adopt the existing record, or change the customer at the source and retry."
    action = Action.REVIEW
    may_have_written = False

    def __init__(
        self,
        detail: str = "",
        *,
        provider_entity_id: str | None = None,
        provider_code: str | None = None,
        provider_request_id: str | None = None,
    ) -> None:
        super().__init__(detail, provider_code=provider_code, provider_request_id=provider_request_id)
        self.provider_entity_id = provider_entity_id


class StaleRecordError(ConnectorError):
    """The mapped record is gone, inactive or merged into another."""

    code = "record_stale"
    title = "Linked record gone"
    cause = "The provider's record of this customer was deleted, deactivated or merged."
    resolution = "Decide in the review: link the surviving record, reactivate it, or create a new one."
    action = Action.REVIEW
    may_have_written = False


class StaleCustomerError(ConnectorError):
    """An invoice or link was refused since the customer's record is gone: the gateway looks at the customer again."""

    code = "customer_stale"
    title = "Linked customer gone"
    cause = "The provider refused an invoice or payment link, since the record of its customer is gone or inactive."
    resolution = (
        "Nothing at first: the gateway looks at the customer's link, and asks you what to do with it."
        " The invoice is tried again by itself."
    )
    may_have_written = False


class NotOfferedError(ConnectorError):
    """The provider's account has no API for this at all (404, 405 or 501 for the whole collection)."""

    code = "not_offered"
    title = "Not offered by the account"
    cause = "The provider's account answers that it has no API for invoices or payment links."
    resolution = (
        "Nothing, if customers are all you want: set `invoice_sync = { outbound = true, customer_only = true }`."
        " Otherwise enable invoices with the provider, then replay the delivery."
    )
    action = Action.FAIL
    may_have_written = False


class RejectedError(ConnectorError):
    """The provider refused this customer's data, or would: trying again changes nothing."""

    code = "rejected"
    title = "Refused by the provider"
    cause = "The provider refused the data of the customer or the invoice."
    resolution = "Correct the customer or the invoice at the source, then retry the job."
    action = Action.FAIL
    may_have_written = False


class MissingFieldsError(RejectedError):
    """A field that the provider needs is empty."""

    code = "missing_required_fields"
    title = "Missing required fields"
    cause = "The customer has no name or no e-mail address, and the provider needs it."
    resolution = "Fill in name and e-mail of the customer at the source, then retry the job."


class InvalidEmailError(RejectedError):
    """The e-mail address is not one."""

    code = "invalid_email"
    title = "Invalid email format"
    cause = "The customer's e-mail address is not valid."
    resolution = "Correct the e-mail address of the customer at the source, then retry the job."


class AmountInexactError(RejectedError):
    """An amount has more decimal places than its currency, or more than the provider can take: nothing is rounded."""

    code = "amount_inexact"
    title = "Amount cannot be expressed"
    cause = "An amount has more decimal places than its currency has, or the currency is none that is known."
    resolution = "Correct the invoice at the source so that its lines are whole units of the currency, then retry."


class PauseError(ConnectorError):
    """Base of the errors that stop a connection until a person acts; its jobs wait and burn no attempt."""

    code = "connection_stopped"
    title = "Connection stopped"
    cause = "The connection cannot work as it is."
    resolution = "Correct it, then `ledgergate connection resume NAME`; waiting jobs run."
    action = Action.PAUSE
    may_have_written = False


class AuthenticationError(PauseError):
    """The provider refused the credentials."""

    code = "authentication_failed"
    title = "Credentials refused"
    cause = "The provider refused the connection's credentials."
    resolution = "Set new credentials, then `ledgergate connection resume NAME`; waiting jobs run."


class NeedsReauthError(PauseError):
    """The provider's consent has ended; a person must connect again."""

    code = "needs_reauth"
    title = "Consent needed again"
    cause = "The refresh token was revoked, rotated elsewhere, or has expired."
    resolution = "Connect again: `ledgergate connection authorize NAME`, or the console; waiting jobs run."


class PermissionRefusedError(PauseError):
    """The credentials are good, but not for this."""

    code = "permission_refused"
    title = "Permission refused"
    cause = (
        "The credentials may not do this: key of another kind, a user without rights, or a plan without the feature."
    )
    resolution = "Give the key or user the rights, then `ledgergate connection resume NAME`."


class AccountBlockedError(PauseError):
    """The provider's account cannot be written to: subscription ended, read-only, or a monthly limit used up."""

    code = "account_blocked"
    title = "Provider account blocked"
    cause = "The provider's account is suspended or read-only, or its monthly call limit is used up."
    resolution = "Settle it with the provider, then `ledgergate connection resume NAME`."


class ConfigurationError(PauseError):
    """A setting of the connection is wrong."""

    code = "configuration_invalid"
    title = "Connection settings wrong"
    cause = "A setting of the connection is wrong: address, environment, account or client."
    resolution = "Correct it with `ledgergate apply` or in the console, then `ledgergate connection resume NAME`."


class AddressRefusedError(ConfigurationError):
    """The address is loopback, private or link-local, and the installation does not allow that."""

    code = "address_refused"
    title = "Address refused"
    cause = "The address lies on this machine or in a private network."
    resolution = "Correct the address; for a sandbox set LEDGERGATE_ALLOW_PRIVATE_ADDRESSES=true."
