"""A careful operator: does what is asked of people, looks before deciding, and never decides against the ledgers."""

import contextlib
from collections.abc import Mapping
from typing import Any

from storage.errors import StorageError
from storage.records import ConnectionRow, Job, JobStatus, MappingKey, MappingStatus, Review, ReviewStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.invariants import every
from tests.ledgers import invoices_in_nomod, invoices_in_quickbooks, links_in_nomod, made_in_quickbooks

ADOPT, CREATE, IGNORE = "adopt", "create", "ignore"


async def operate(rig: Rig, *, adopts: bool = False) -> int:
    """Decide reviews, retry dead letters, connect again what is paused; return how much there was to do.

    One who `adopts` takes a record that somebody made by hand and that nobody is linked to, rather than make another.
    """
    done = 0
    for review in await every(rig.store.list_reviews, status=ReviewStatus.OPEN):
        decision, record = await _decided(rig, review)
        if decision == CREATE and adopts:
            record = await _unclaimed(rig, review)
        with contextlib.suppress(StorageError):  # it was answered meanwhile
            await rig.store.resolve_review(
                review.review_id, decision=ADOPT if record else decision, provider_entity_id=record, by="operator",
                now=rig.now(),
            )  # fmt: skip
        done += 1
    for job in await every(rig.store.list_jobs, status=JobStatus.FAILED):
        with contextlib.suppress(StorageError):  # it was taken up again meanwhile
            if _is_hopeless(job):
                await rig.store.cancel_job(job.job_id, now=rig.now(), reason="refunded by hand")
            else:
                await rig.store.retry_job(job.job_id, now=rig.now())
        done += 1
    for connection in await rig.store.list_connections():
        if connection.status == "paused":
            await _resume(rig, connection)
            done += 1
    await rig.refresh()
    return done


async def unlink(rig: Rig, customer: str, connection: str) -> tuple[str, str] | None:
    """Forget a customer's link that the platform has been told of, so that it can be found again by that.

    Return the customer and the record whose link is gone.
    """
    key = MappingKey(source=SOURCE, entity_type="customer", entity_id=customer, connection=connection)
    mapping = await rig.store.get_mapping(key)
    if mapping is not None and mapping.status is MappingStatus.LINKED and mapping.written_back_at is not None:
        with contextlib.suppress(StorageError):  # it was changed meanwhile
            gone = await rig.store.delete_mapping(key, now=rig.now())
            return customer, gone.provider_entity_id or ""
    return None


def _is_hopeless(job: Job) -> bool:
    """Whether no retry will help: what was paid is not voided at the provider, but refunded, by a person."""
    return (
        job.kind == "void_invoice"
        and isinstance(job.error, dict)
        and job.error.get("code") in {"rejected", "invoice_paid"}
    )


async def _decided(rig: Rig, review: Review) -> tuple[str, str | None]:
    """Look at the provider: adopt what was made for the customer, or the invoice, else make one.

    What another one was linked to meanwhile, since its link was forgotten, is that one's. Of a payment that fits
    nothing nobody tells the platform. A customer that was put away in QuickBooks is taken out again first: nobody
    can be billed there otherwise, and the gateway itself does that only where a setting says so.
    """
    made, wanted = _made(rig, review)
    if review.entity_type == "payment":
        return IGNORE, None
    known = [record for record in made.get(wanted, ()) if not await _is_anothers(rig, review, record)]
    if known and review.entity_type == "customer" and review.connection == QUICKBOOKS:
        _take_out(rig, known[0])
    return (ADOPT, known[0]) if known else (CREATE, None)


def _made(rig: Rig, review: Review) -> tuple[Mapping[str, list[str]], str]:
    """Return what was made at the provider, by whom or what it is for, and of whom or what is asked."""
    wanted = str(review.entity_id)
    if review.connection == NOMOD and review.entity_type in ("invoice", "payment_link"):
        number = str(rig.flexprice.invoices[wanted]["invoice_number"])
        if review.entity_type == "invoice":
            return invoices_in_nomod(rig.nomod), number
        return links_in_nomod(rig.nomod), f"Invoice {number}"
    if review.entity_type == "invoice":
        return invoices_in_quickbooks(rig.intuit), wanted
    return rig.nomod.made_for if review.connection == NOMOD else made_in_quickbooks(rig.intuit), wanted


async def _is_anothers(rig: Rig, review: Review, record: str) -> bool:
    """Whether a record is linked to somebody or something else than what is asked about."""
    linked = await every(
        rig.store.list_mappings, connection=review.connection, entity_type=review.entity_type,
        provider_entity_id=record, status=MappingStatus.LINKED,
    )  # fmt: skip
    return any(each.entity_id != review.entity_id for each in linked)


async def _unclaimed(rig: Rig, review: Review) -> str | None:
    """Return a candidate that was made for nobody, by hand, and that nobody is linked to."""
    if review.entity_type != "customer":
        return None
    made = rig.nomod.made_for if review.connection == NOMOD else made_in_quickbooks(rig.intuit)
    ours = {record for records in made.values() for record in records}
    found: list[dict[str, Any]] = review.candidates if isinstance(review.candidates, list) else []
    for each in found:
        record = str(each["provider_entity_id"])
        if record in ours or each.get("active") is False or each.get("kind") not in (None, "customer"):
            continue
        if not await every(rig.store.list_mappings, connection=review.connection, provider_entity_id=record):
            return record
    return None


def _take_out(rig: Rig, record: str) -> None:
    """Make a customer active again, with the hands of a person at QuickBooks."""
    if not rig.intuit.customers[record]["Active"]:
        rig.intuit.reactivate(record)


async def _resume(rig: Rig, connection: ConnectionRow) -> None:
    """Give the consent again where it is what was missing, and let work go on."""
    if connection.name == QUICKBOOKS and connection.pause_reason:
        customer_only = bool(connection.settings.get("invoice_sync", {}).get("customer_only"))
        gifts = connection.settings["config"].get("gifts", "off")
        await rig.add_quickbooks(invoices=not customer_only, gifts=gifts)
    await rig.resume(connection.name)
