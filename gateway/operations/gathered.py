"""All use-cases of one running gateway, made once and shared by API and console."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.access import Access
from gateway.alerts.sending import Carrier
from gateway.configuration.service import Configuration
from gateway.operations.alerts import Alerts
from gateway.operations.audits import Audits
from gateway.operations.channels import Channels
from gateway.operations.connections import Connections
from gateway.operations.consent_links import ConsentLinks
from gateway.operations.customers import Customers
from gateway.operations.deliveries import Deliveries
from gateway.operations.drift import Drifts
from gateway.operations.editing import Editing
from gateway.operations.jobs import Jobs
from gateway.operations.keys import Keys
from gateway.operations.mappings import Mappings
from gateway.operations.payment_links import PaymentLinks
from gateway.operations.reviews import Reviews
from gateway.operations.sources import Sources
from gateway.operations.transfers import Transfers
from gateway.registry import Registry
from gateway.secrets import Vault
from storage import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Every use-case, by its noun."""

    deliveries: Deliveries
    jobs: Jobs
    mappings: Mappings
    transfers: Transfers
    reviews: Reviews
    customers: Customers
    payment_links: PaymentLinks
    audits: Audits
    sources: Sources
    connections: Connections
    drift: Drifts
    alerts: Alerts
    channels: Channels
    keys: Keys
    editing: Editing
    consent_links: ConsentLinks


def gather(
    *,
    store: Store,
    vault: Vault,
    registry: Registry,
    configuration: Configuration,
    access: Access,
    carrier: Carrier,
    now: Callable[[], datetime],
    wake: Callable[[], None],
    public_url: str | None,
) -> Operations:
    """Return the use-cases over the parts of a running gateway."""
    mappings = Mappings(store=store, now=now, wake=wake, registry=registry)
    return Operations(
        deliveries=Deliveries(store=store, now=now, wake=wake),
        jobs=Jobs(store=store, now=now, wake=wake),
        mappings=mappings,
        transfers=Transfers(mappings),
        reviews=Reviews(store=store, now=now, wake=wake, registry=registry),
        customers=Customers(store=store, now=now),
        payment_links=PaymentLinks(store=store, now=now, wake=wake, registry=registry),
        audits=Audits(store=store, now=now),
        sources=Sources(store, vault, configuration, now, public_url=public_url),
        connections=Connections(store, vault, configuration, registry, now),
        drift=Drifts(store=store, now=now, wake=wake, registry=registry),
        alerts=Alerts(store=store, now=now),
        channels=Channels(store, configuration, carrier, now, public_url=public_url),
        keys=Keys(access, store, now),
        editing=Editing(store, vault),
        consent_links=ConsentLinks(store, now),
    )
