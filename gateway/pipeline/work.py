"""One attempt's context, and what all stages need: the store, the clock, the adapters of the job."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.base import Connector
from connectors.invoices import Invoice
from connectors.models import Customer
from gateway.pipeline.settling import Result
from gateway.registry import Registry
from gateway.sources.base import Confirmed, Source
from storage import Store
from storage.records import Claimed, MappingKey, Review, SeenCustomer

CUSTOMER = "customer"


@dataclass(slots=True, kw_only=True)
class Work:
    """A claimed job with its adapters, loaded when they are first asked for."""

    claimed: Claimed
    registry: Registry
    customer: Customer | None = field(default=None, repr=False)
    invoice: Invoice | None = field(default=None, repr=False)
    asked: Mapping[str, str] | None = field(default=None, repr=False)
    """What a review shows of the customer or invoice that the attempt is about."""
    confirmed: Confirmed | None = None
    """What the platform has said about the trigger, where it was asked."""
    voided_at: datetime | None = None
    """When the platform was seen to have voided the invoice that the attempt is about; None as far as is known."""
    decided: Review | None = field(default=None, repr=False)
    """What a person has decided and this attempt is to carry out."""
    leave_line: Callable[[], None] | None = field(default=None, repr=False)
    """Ends this attempt's turn among equal records; `end` calls it."""

    def end(self) -> None:
        """End this attempt's turn among equal records, if it has one: it is settled."""
        if self.leave_line is not None:
            self.leave_line()

    @property
    def payload(self) -> Mapping[str, Any]:
        """Return what the job was queued with."""
        payload = self.claimed.job.payload
        return payload if isinstance(payload, dict) else {}

    @property
    def decision(self) -> Mapping[str, Any] | None:
        """Return what a person has once decided about this job, if anybody has; it may be carried out already."""
        decided = self.payload.get("decision")
        return decided if isinstance(decided, dict) else None

    @property
    def seen(self) -> SeenCustomer | None:
        """Return what lists know of the customer from this attempt on."""
        job, customer = self.claimed.job, self.customer
        if not job.entity_id or job.entity_type != CUSTOMER:
            return None
        return SeenCustomer(
            source=job.source, customer_id=job.entity_id, tenant_id=job.tenant_id, environment_id=job.environment_id,
            name=customer.full_name if customer else "", email=customer.email if customer else "",
        )  # fmt: skip

    @property
    def source(self) -> Source:
        """Return the source's adapter. Raises PluginError."""
        return self.registry.source(self.claimed.job.source)

    @property
    def connector(self) -> Connector[Any]:
        """Return the connection's connector. Raises ConfigurationError."""
        return self.registry.connection(self.claimed.job.connection or "").usable()

    @property
    def books_invoices(self) -> bool:
        """Return whether the connection wants the platform's invoices, and there are any."""
        live = self.registry.connections.get(self.claimed.job.connection or "")
        return live is not None and live.books_invoices and self.source.has_invoices

    @property
    def books_receipts(self) -> bool:
        """Return whether the connection wants the platform's gifts, and there are any."""
        live = self.registry.connections.get(self.claimed.job.connection or "")
        return live is not None and live.books_receipts and self.source.has_receipts

    @property
    def mapping_key(self) -> MappingKey:
        """Return the key of the mapping that the job is about."""
        job = self.claimed.job
        return MappingKey(
            source=job.source, entity_type=job.entity_type, entity_id=job.entity_id or "",
            connection=job.connection or "",
        )  # fmt: skip


class Stage(ABC):
    """Base of the stages: what they are given, and nothing else."""

    def __init__(
        self, *, store: Store, registry: Registry, now: Callable[[], datetime], schedule: Sequence[float],
        steady: Callable[[], float],
    ) -> None:  # fmt: skip
        """`now` is the time of day; `steady` gives the seconds of a clock that nobody can set."""
        self.store = store
        self.registry = registry
        self.now = now
        self.steady = steady
        self.schedule = schedule

    @abstractmethod
    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises ConnectorError, GatewayError and StorageError kinds, which the worker settles."""
