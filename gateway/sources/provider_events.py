"""Webhooks of providers, about payments: a source of its own kind, bound to the connection whose money it tells of."""

from abc import abstractmethod
from collections.abc import Sequence

from pydantic import Field

from connectors.models import Customer
from gateway.errors import CustomerNotFoundError, PayloadInvalidError
from gateway.sources.base import (
    Confirmed,
    Dropped,
    Event,
    Source,
    SourceConfig,
    SourceHost,
    SourceOptions,
    Trigger,
)

MAX_PAYMENTS = 1_000
"""Payments that one delivery may tell of. One with more fails, and is seen: none is left out."""


class ProviderEventsOptions(SourceOptions):
    """The options of a source whose webhooks come from a provider."""

    connection: str = Field(min_length=1, max_length=63, description="The connection whose payments these are.")
    report: bool = Field(
        default=True, description="Tell the platform of payments for its invoices, where it can be told."
    )


class ProviderEvents(Source):
    """Base of adapters for a provider's webhooks. They name payments; the payments are read from the provider."""

    needs_outbound = False
    options_model = ProviderEventsOptions

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        super().__init__(config, host)
        options = ProviderEventsOptions.model_validate(dict(config.options))
        self.connection, self.reports_payments = options.connection, options.report

    @abstractmethod
    def keep(self, body: bytes) -> bytes:
        """Return what of an authentic body may be stored: names and ids, nothing about cards or people. Never raises.

        What was stored is what `parse` reads later.
        """

    async def confirm(self, event: Event) -> Confirmed | Dropped:
        """Drop it: no event of a provider is about a customer."""
        return Dropped(reason="a provider's event brings no customer")

    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Know none. Raises CustomerNotFoundError."""
        raise CustomerNotFoundError

    @staticmethod
    def told(kind: str, payments: Sequence[tuple[str, str]]) -> Event:
        """Return the event that tells of these payments, or that there is nothing to do.

        A payment is its id, and the provider's account that it is of, where the delivery says so: two accounts may
        have one id. Raises PayloadInvalidError for more than can be taken.
        """
        named = list(dict.fromkeys(payments))
        if not named:
            return Event(type=kind[:200], trigger=Trigger.NONE, reason=f"{kind[:200]} is about no payment")
        if len(named) > MAX_PAYMENTS:
            raise PayloadInvalidError(f"{len(named)} payments in one delivery are more than {MAX_PAYMENTS}")
        return Event(type=kind[:200], trigger=Trigger.PAYMENT, subject=named[0][0], data={"payments": named})
