"""Payment links: what one is asked for, what is found at the provider, and what a connector does with them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from connectors.invoices import Invoice
from connectors.models import CreateIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLinkRequest:
    """A link by which what is outstanding of an invoice can be paid, once.

    `amount` is in major units of `currency` (ISO 4217), and may be less than the invoice's total. `customer_record` is
    the provider's id of the linked customer, `invoice_record` that of the invoice where it is mapped as well.
    """

    invoice: Invoice
    amount: Decimal
    currency: str
    customer_record: str
    invoice_record: str | None = None

    @property
    def reference(self) -> str:
        """`source:invoice_id:amount`: another amount is another link."""
        return f"{self.invoice.reference}:{self.amount.normalize():f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCandidate:
    """A payment link at the provider. `marker` is the reference that it carries, if any.

    `active` says whether it can be paid by now; `used` that it cannot since its one payment has come.
    """

    provider_entity_id: str
    amount: Decimal
    currency: str
    url: str = field(repr=False)
    active: bool = True
    used: bool = False
    marker: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedLink:
    """What a create returned: the link as the provider answered it, and what was left out or altered, in words."""

    record: LinkCandidate
    warnings: tuple[str, ...] = ()


class PaymentLinks(ABC):
    """A connector that also makes payment links: mix it in beside `Connector`.

    Each method raises ConnectorError kinds, NotOfferedError when the account has no API for links.
    """

    links_need_invoice: ClassVar[bool] = False
    """Whether a link is one of the provider's own invoice, which then has to exist first."""

    def validate_link(self, request: PaymentLinkRequest) -> None:  # noqa: B027 - an optional hook, not a forgotten one
        """Refuse a link that can never be created (RejectedError kinds), before any request is made. Pure.

        Example: `exact(request.amount, request.currency)`
        """

    @abstractmethod
    async def find_links(
        self, request: PaymentLinkRequest, *, intent: CreateIntent | None = None
    ) -> Sequence[LinkCandidate]:
        """Return every link that carries this request's mark, disabled ones too; complete, or an error.

        Example: `return [self._link(row) for row in await self._list("/links", search=mark_of(request))]`
        """

    @abstractmethod
    async def get_link(self, provider_entity_id: str) -> LinkCandidate | None:
        """Return the link, or None when the provider says for certain that it does not exist.

        Example: `return self._link(await self._api.get(f"/links/{quote(provider_entity_id, safe='')}"))`
        """

    @abstractmethod
    async def create_link(self, request: PaymentLinkRequest, *, intent: CreateIntent) -> CreatedLink:
        """Create the link, good for one payment of just `amount`, with one request. Never retried inside.

        Example: `return CreatedLink(record=self._link(await self._api.post("/links", body_of(request))))`
        """

    @abstractmethod
    async def disable_link(self, provider_entity_id: str) -> None:
        """Make the link unusable. One that is so already is left alone. Raises StaleRecordError when it is gone.

        Example: `await self._api.post(f"/links/{quote(provider_entity_id, safe='')}/disable", {})`
        """
