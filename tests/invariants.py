"""What holds after any history, checked against what the simulated services know, not against our own tables alone."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway.sandbox.flexprice import FlexpriceSimulator
from storage import Store
from storage.records import Delivery, DeliveryStatus, EntityMapping, Job, JobStatus, MappingStatus, Page
from tests.ledgers import (
    LedgerNomod,
    invoices_in_nomod,
    invoices_in_quickbooks,
    links_in_nomod,
    made_in_quickbooks,
)

ENSURING = frozenset({"ensure_customer", "ensure_invoice"})
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The services on both sides, with their ledgers."""

    flexprice: FlexpriceSimulator
    nomod: LedgerNomod
    intuit: QuickBooksSimulator


async def check_invariants(
    store: Store,
    world: World,
    *,
    acknowledged: Collection[str],
    all_linked: bool = False,
    doubled_on_purpose: Collection[str] = (),
    forgotten: Collection[str] = (),
    waiting: bool = False,
) -> None:
    """Raise AssertionError unless the promise was kept.

    Every acknowledged delivery is there and has ended (unless `waiting`, for a connection that is paused). Each billing
    customer and each invoice was made at most once at each provider, but for those that a person has wanted twice, and
    no invoice has two payment links that can be paid. No
    mapping leads nowhere, no record serves two, no invoice asks for another sum, each link was written back. With
    `all_linked` every customer of an acknowledged delivery that has ended as processed is linked, and nothing is left
    open: the providers have answered. Customers that a person has `forgotten` may not be linked any more, and their
    invoices may have waited for that in vain.
    """
    deliveries = {item.delivery_id: item for item in await every(store.list_deliveries)}
    jobs = await every(store.list_jobs)
    lost = set(acknowledged) - set(deliveries)
    assert not lost, f"acknowledged and lost: {sorted(lost)}"
    if not waiting:
        open_ones = [item for item in deliveries.values() if item.status is DeliveryStatus.PENDING]
        assert not open_ones, f"deliveries without an end: {open_ones}"
        alive = [job for job in jobs if job.status in (JobStatus.PENDING, JobStatus.RUNNING)]
        assert not alive, f"jobs without an end: {alive}"
    _check_made_once("Nomod", world.nomod.made_for.items(), doubled_on_purpose)
    _check_made_once("QuickBooks", made_in_quickbooks(world.intuit).items(), doubled_on_purpose)
    _check_made_once("Nomod, of invoices", invoices_in_nomod(world.nomod).items(), doubled_on_purpose)
    _check_made_once("Nomod, of open payment links", links_in_nomod(world.nomod).items(), doubled_on_purpose)
    _check_made_once("QuickBooks, of invoices", invoices_in_quickbooks(world.intuit).items(), doubled_on_purpose)
    await _check_told(store, world, deliveries.values(), jobs)
    mappings = await every(store.list_mappings)
    linked = [mapping for mapping in mappings if mapping.status is MappingStatus.LINKED]
    _check_records(world, linked)
    _check_invoices(world, linked, doubled_on_purpose)
    _check_written_back(world, linked, {job.entity_id for job in jobs if job.status is not JobStatus.SUCCEEDED})
    if all_linked:
        unlinked = [each for each in mappings if each.status is not MappingStatus.LINKED and not _ended(each)]
        assert not unlinked, f"mappings left open: {unlinked}"
        waited = {  # for a customer whom nothing has brought back
            each.delivery_id
            for each in deliveries.values()
            if each.entity_id in forgotten and str(each.reason).startswith("customer_not_linked")
        }
        failed = [
            item
            for item in deliveries.values()
            if item.status not in ("processed", "ignored") and item.delivery_id not in waited
        ]
        assert not failed, f"deliveries that did not go well: {failed}"
        there = {(mapping.entity_id, mapping.connection) for mapping in linked}
        wanted = {(job.entity_id, job.connection) for job in jobs if job.kind in ENSURING and job.outcome == "done"}
        missing = {each for each in wanted - there if each[0] not in forgotten}
        assert not missing, f"ensured and not linked: {missing}"


def _ended(mapping: EntityMapping) -> bool:
    """Whether it is a payment link that was switched off: nothing is to be paid by it any more."""
    return mapping.entity_type == "payment_link" and mapping.status is MappingStatus.STALE


def _check_made_once(provider: str, made: Iterable[tuple[str, list[str]]], on_purpose: Collection[str]) -> None:
    doubled = {owner: records for owner, records in made if len(records) > 1 and owner not in on_purpose}
    assert not doubled, f"more than once in {provider}: {doubled}"


def _check_records(world: World, linked: Iterable[EntityMapping]) -> None:
    """Every link leads to a record that the provider has, and to one that no other customer is linked to."""
    holders: dict[tuple[str, str, str], str] = {}  # QuickBooks numbers each kind of record by itself
    for mapping in linked:
        record = mapping.provider_entity_id or ""
        assert record in _there(world, mapping), f"a mapping leads nowhere: {mapping}"
        other = holders.setdefault(
            (mapping.connection, mapping.entity_type, record), f"{mapping.source}:{mapping.entity_id}"
        )
        assert mapping.shared or other == f"{mapping.source}:{mapping.entity_id}", f"one record for two: {mapping}"


def _there(world: World, mapping: EntityMapping) -> Collection[str]:
    """Return the ids of all records that the mapping could lead to."""
    nomod = mapping.connector == "nomod"
    if mapping.entity_type == "customer":
        return world.nomod.customers if nomod else world.intuit.customers
    if mapping.entity_type == "payment_link":
        return world.nomod.links if nomod else world.intuit.invoices
    if nomod:
        return world.nomod.invoices
    return {*world.intuit.invoices, *(f"receipt:{key}" for key in world.intuit.sales_receipts)}


def _check_invoices(world: World, linked: Iterable[EntityMapping], on_purpose: Collection[str]) -> None:
    """Every invoice that the gateway has made asks for what the platform's does, of the customer who is linked to it.

    A record that a person has chosen is what that person has seen. Who has several records on purpose has invoices of
    each.
    """
    customers = {
        (mapping.connection, mapping.entity_id): mapping.provider_entity_id
        for mapping in linked
        if mapping.entity_type == "customer" and mapping.entity_id not in on_purpose
    }
    for mapping in linked:
        ours = world.flexprice.invoices.get(mapping.entity_id)
        if mapping.entity_type != "invoice" or mapping.origin == "operator" or not ours:
            continue
        void = "voided_at" in mapping.notes
        asked, owed_by, is_void = _billed(world, mapping)
        assert not void or is_void, f"said to be void, and is not: {mapping}"
        assert asked in (None, Decimal(ours["total"])), f"another sum than the platform's: {mapping}"
        payer = customers.get((mapping.connection, ours["customer_id"]))
        assert payer in (None, owed_by), f"an invoice for somebody else: {mapping}"


def _billed(world: World, mapping: EntityMapping) -> tuple[Decimal | None, str, bool]:
    """Return what a provider's invoice asks for, of whom, and whether it is void: in QuickBooks those have no sum."""
    record = mapping.provider_entity_id or ""
    if mapping.connector == "nomod":
        made = world.nomod.invoices[record]
        return made["bill"].amount, made["customer_id"], made["status"] == "cancelled"
    invoice = world.intuit.invoices[record]
    return invoice["TotalAmt"] or None, invoice["CustomerRef"]["value"], not invoice["TotalAmt"]


def _check_written_back(world: World, linked: Iterable[EntityMapping], not_done: Collection[str | None]) -> None:
    """Every link stands in the platform's metadata, unless its write-back has failed and waits for a person."""
    for mapping in linked:
        kind = mapping.entity_type
        if kind == "payment_link":  # the platform has no place for one
            continue
        here = world.flexprice.customers if kind == "customer" else world.flexprice.invoices
        told_about = here.get(mapping.entity_id)
        if told_about is None or mapping.entity_id in not_done or told_about.get("invoice_status") == "VOIDED":
            continue
        assert mapping.written_back_at is not None, f"linked and not written back: {mapping}"
        told = (told_about["metadata"] or {}).get(f"{mapping.connector}_{kind}_id")
        assert told == mapping.provider_entity_id, f"the platform was told {told!r}: {mapping}"


async def _check_told(store: Store, world: World, deliveries: Iterable[Delivery], jobs: Iterable[Job]) -> None:
    """What lists, attempts and reviews tell of a job holds neither a secret nor an e-mail address.

    The fields of a review that are made to show a person to a person are left out.
    """
    told = [str(delivery.reason) for delivery in deliveries]
    for job in jobs:
        told += [str(job.reason), str(job.error)]
        told += [f"{one.error} {one.exchanges} {one.decision}" for one in await store.list_attempts(job.job_id)]
    told += [review.reason for review in await every(store.list_reviews)]
    secrets = [world.nomod.api_key, world.flexprice.api_key, world.intuit.client_secret]
    check_secrecy("\n".join(told), secrets=secrets)


def check_secrecy(text: str, *, secrets: Iterable[str]) -> None:
    """Raise AssertionError where a secret or an e-mail address stands in what a process has written or stored."""
    for secret in secrets:
        assert secret not in text, "a secret was written down"
    found = [line for line in text.splitlines() if _EMAIL.search(line)]
    assert not found, f"an e-mail address was written down: {found[:3]}"


async def every(listing: Callable[..., Any], **where: Any) -> list[Any]:
    """Return all items of a list of the store, over all its pages."""
    items: list[Any] = []
    cursor = None
    while True:
        page: Page[Any] = await listing(limit=200, cursor=cursor, **where)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            return items
