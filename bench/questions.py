"""What a store is asked when years lie in it: each question is a call as the gateway or its console makes it."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench import past
from storage import Store, cursors
from storage.records import DeliveryStatus, JobStatus, MappingKey, Scope
from storage.testing.making import LEASE, T0, at, make_delivery

Ask = Callable[[int], Awaitable[Any]]
"""Asks once; gets the number of the question."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much lies in the store."""

    deliveries: int
    customers: int

    def anybody(self) -> int:
        """Return a random customer's number."""
        return random.randrange(self.customers)

    def any_delivery(self) -> int:
        """Return a random delivery's number."""
        return random.randrange(1, self.deliveries + 1)

    def any_kept(self) -> int:
        """Return the number of a random delivery that still has its body."""
        return random.randrange(self.deliveries - self.deliveries // past.KEPT + 1, self.deliveries + 1)


def questions(store: Store, size: Size) -> dict[str, Ask]:
    """Return what is asked, by its name, in the order in which it is asked."""
    return {**_writes(store, size), **_lookups(store, size), **_lists(store, size)}


def _writes(store: Store, size: Size) -> dict[str, Ask]:
    async def repeat(_n: int) -> None:
        number = size.any_delivery()
        source, key = past.delivered_to(number, size.customers), past.delivery_key(number)
        _, duplicate = await store.add_delivery(make_delivery(key, source=source))
        assert duplicate, key

    async def claimed(n: int) -> None:
        await store.claim_jobs({"nomod": 1}, owner="w", now=at(n), lease=LEASE)

    return {
        "store a new delivery": lambda n: store.add_delivery(make_delivery(f"new_{n}", source="billing-0")),
        "store a repeat": repeat,
        "claim a delivery": lambda n: store.claim_deliveries(now=at(n), lease=LEASE, limit=1),
        "claim a job": claimed,
    }


def _lookups(store: Store, size: Size) -> dict[str, Ask]:
    def key() -> MappingKey:
        n = size.anybody()
        return MappingKey(
            source=past.source(n), entity_type="customer", entity_id=past.customer(n), connection="nomod"
        )  # fmt: skip

    async def body(_n: int) -> None:
        found = await store.get_delivery(past.delivery_id(size.any_kept()))
        assert found.body is not None

    async def mapping(_n: int) -> None:
        assert await store.get_mapping(key()) is not None

    return {
        "read a mapping": mapping,
        "read a delivery with its body": body,
        "find a customer by id": lambda _: store.find_customers(past.customer(size.anybody())),
        "read the backlog": lambda _: store.backlog(),
        "what needs attention": lambda _: store.attention(now=T0, refused_since=T0),
    }


def _lists(store: Store, size: Size) -> dict[str, Ask]:
    def scope() -> Scope:
        return Scope(tenant_id=past.source(size.anybody()), environment_id="prod")

    def further(scope: Scope) -> Awaitable[Any]:
        return store.list_deliveries(scope, cursor=cursors.encode(str(size.any_delivery())))

    def day(_n: int) -> Awaitable[Any]:
        begun = T0 - random.randrange(1, 365) * DAY
        return store.list_deliveries(scope(), since=begun, until=begun + DAY)

    return {
        "deliveries: a tenant's newest": lambda _: store.list_deliveries(scope()),
        "deliveries: a page far down": lambda _: further(scope()),
        "deliveries: of a day": day,
        "deliveries: failed": lambda _: store.list_deliveries(scope(), status=DeliveryStatus.FAILED),
        "deliveries: of a customer": lambda _: store.list_deliveries(about=[past.customer(size.anybody())]),
        "deliveries: of an invoice": lambda _: store.list_deliveries(about=[past.invoice(size.any_delivery())]),
        "deliveries: of a frequent type": lambda _: store.list_deliveries(scope(), event_type="customer.updated"),
        "deliveries: of a type last seen a year ago": lambda _: store.list_deliveries(
            scope(), event_type="invoice.voided"
        ),
        "deliveries: of a busy connection": lambda _: store.list_deliveries(scope(), connection="nomod"),
        "deliveries: of a connection last used a year ago": lambda _: store.list_deliveries(scope(), connection="qbo"),
        "jobs: a tenant's newest": lambda _: store.list_jobs(scope()),
        "jobs: of a customer": lambda _: store.list_jobs(entity_id=past.customer(size.anybody())),
        "jobs: failed": lambda _: store.list_jobs(scope(), status=JobStatus.FAILED),
        "jobs: of a kind": lambda _: store.list_jobs(scope(), kind="write_back"),
        "jobs: of a connection last used a year ago": lambda _: store.list_jobs(scope(), connection="qbo"),
        "mappings: a tenant's": lambda _: store.list_mappings(scope()),
        "mappings: of a connection and a source": lambda _: store.list_mappings(
            connection="nomod", source=past.source(size.anybody())
        ),
        "mappings: of a record": lambda n: store.list_mappings(provider_entity_id=f"rec_{n}"),
        "customers: a tenant's": lambda _: store.list_customers(scope()),
        "customers: whose name holds a text": lambda _: store.list_customers(
            scope(), text=f"omer {size.customers // 2 + size.anybody() // 2}"
        ),
    }
