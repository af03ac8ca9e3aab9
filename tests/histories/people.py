"""A careful operator: does what is asked of people, looks before deciding, and never decides against the ledgers."""

import contextlib

from storage.errors import StorageError
from storage.records import ConnectionRow, JobStatus, Review, ReviewStatus
from tests.harness import QUICKBOOKS, Rig
from tests.invariants import every
from tests.ledgers import invoices_in_nomod, invoices_in_quickbooks, made_in_quickbooks


async def operate(rig: Rig) -> int:
    """Decide reviews, retry dead letters, connect again what is paused; return how much there was to do."""
    done = 0
    for review in await every(rig.store.list_reviews, status=ReviewStatus.OPEN):
        await _decide(rig, review)
        done += 1
    for job in await every(rig.store.list_jobs, status=JobStatus.FAILED):
        await rig.store.retry_job(job.job_id, now=rig.now())
        done += 1
    for connection in await rig.store.list_connections():
        if connection.status == "paused":
            await _resume(rig, connection)
            done += 1
    await rig.refresh()
    return done


async def _decide(rig: Rig, review: Review) -> None:
    """Look at the provider: adopt what was made for the customer, or the invoice, else make one.

    A customer that was put away in QuickBooks is taken out again first: nobody can be billed there otherwise, and the
    gateway itself does that only where a setting says so.
    """
    made = rig.nomod.made_for if review.connection == "nomod-prod" else made_in_quickbooks(rig.intuit)
    wanted = str(review.entity_id)
    if review.entity_type == "invoice" and review.connection == QUICKBOOKS:
        made = invoices_in_quickbooks(rig.intuit)
    elif review.entity_type == "invoice":
        made, wanted = invoices_in_nomod(rig.nomod), rig.flexprice.invoices[wanted]["invoice_number"]
    known = made.get(wanted)
    if known and review.entity_type == "customer" and review.connection == QUICKBOOKS:
        _take_out(rig, known[0])
    with contextlib.suppress(StorageError):  # it was answered meanwhile
        await rig.store.resolve_review(
            review.review_id, decision="adopt" if known else "create", provider_entity_id=known[0] if known else None,
            by="operator", now=rig.now(),
        )  # fmt: skip


def _take_out(rig: Rig, record: str) -> None:
    """Make a customer active again, with the hands of a person at QuickBooks."""
    if not rig.intuit.customers[record]["Active"]:
        rig.intuit.reactivate(record)


async def _resume(rig: Rig, connection: ConnectionRow) -> None:
    """Give the consent again where it is what was missing, and let work go on."""
    if connection.name == QUICKBOOKS and connection.pause_reason:
        customer_only = bool(connection.settings.get("invoice_sync", {}).get("customer_only"))
        await rig.add_quickbooks(invoices=not customer_only)
    await rig.resume(connection.name)
