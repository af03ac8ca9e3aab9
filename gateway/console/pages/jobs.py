"""Jobs: the list with its filters, one with its attempts, one attempt with its requests; retry and cancel."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from connectors.money import MoneyError, parse, shown
from connectors.payments import PaymentStatus
from gateway.console.filters import PERIODS, TIMES, options_of, times_of
from gateway.console.pages.deliveries import news
from gateway.console.pages.payment_links import payable
from gateway.console.visit import Visit
from gateway.console.words import WARN, kind_said
from gateway.operations.jobs import JobFilter
from gateway.pipeline.dispatch import (
    CHECK,
    ENSURE,
    ENSURE_INVOICE,
    ENSURE_LINK,
    RECORD_PAYMENT,
    VOID_INVOICE,
    WRITE_BACK,
)
from gateway.pipeline.keeping import payments_in
from storage.errors import NotFoundError
from storage.records import JobStatus, MappingKey

LIMIT = 50
NEWS = 100
FIELDS = ("q", "status", "kind", "connection", "source", "error_code", *TIMES)
KINDS = (ENSURE, ENSURE_INVOICE, ENSURE_LINK, VOID_INVOICE, RECORD_PAYMENT, WRITE_BACK, CHECK)
STATUSES = (
    ("pending", "Waiting"), ("running", "Running"), ("succeeded", "Done"), ("failed", "Dead letter"),
    ("cancelled", "Cancelled"), ("needs_review", "Needs review"),
)  # fmt: skip


async def show_list(visit: Visit) -> web.StreamResponse:
    """Show the list; every filter is in the address."""
    asked = {name: visit.asked(name) for name in FIELDS if visit.asked(name)}
    cursor = visit.asked("cursor") or None
    found = await visit.operations.jobs.list(visit.scope, chosen(asked, visit), limit=LIMIT, cursor=cursor)
    first = found.items[0].job_id if found.items else ""
    return await visit.page(
        "jobs.html", found=found, names=await visit.names(each.entity_id for each in found.items),
        asked=asked, periods=PERIODS, statuses=STATUSES,
        kinds=[(kind, kind_said(kind)) for kind in KINDS],
        sources=options_of(row.name for row in await visit.console.store.list_sources(visit.scope)),
        connections=options_of(row.name for row in await visit.console.store.list_connections(visit.scope)),
        live="" if cursor else await visit.live("jobs", **asked, after=first),
    )  # fmt: skip


async def show(visit: Visit) -> web.StreamResponse:
    """Show one job with its attempts."""
    job = await visit.operations.jobs.get(visit.part("job_id"), visit.scope)
    mapping = None
    if job.connection and job.entity_id:
        key = MappingKey(
            source=job.source, entity_type=job.entity_type, entity_id=job.entity_id, connection=job.connection
        )
        try:
            mapping = await visit.operations.mappings.get(key, visit.scope)
        except NotFoundError:
            mapping = None
    reviews = await visit.console.store.list_reviews(visit.scope, job_id=job.job_id, limit=20)
    return await visit.page(
        "job.html", job=job, names=await visit.names([job.entity_id]), mapping=mapping,
        paid=[_paid(each) for each in payments_in(mapping.notes)] if mapping is not None else [],
        reviews=reviews.items, live=await visit.live("job", id=job.job_id), payable=payable(visit, job),
        schedule=visit.console.settings.retry_schedule,
    )  # fmt: skip


def _paid(kept: dict[str, Any]) -> dict[str, Any]:
    """Return what a page says of a payment that was kept with the mapping."""
    try:
        amount = shown(parse(kept.get("amount")), str(kept.get("currency")))
    except MoneyError:
        amount = f"{kept.get('amount')} {kept.get('currency')}"
    returned = kept.get("status") == PaymentStatus.RETURNED
    return {"amount": amount, "payment": kept.get("id"), "platform": kept.get("platform"), "returned": returned}


async def show_attempt(visit: Visit) -> web.StreamResponse:
    """Show one attempt: what was asked, what was answered, what was decided, what comes next."""
    job = await visit.operations.jobs.get(visit.part("job_id"), visit.scope)
    number = visit.part("number")
    attempt = next((each for each in job.attempts if str(each.number) == number), None)
    if attempt is None:
        raise NotFoundError("there is no such attempt")
    is_last = attempt.number == max(each.number for each in job.attempts)
    return await visit.page("attempt.html", job=job, attempt=attempt, is_last=is_last)


async def retry(visit: Visit) -> web.StreamResponse:
    """Make a job due now."""
    job_id = visit.part("job_id")
    await visit.operations.jobs.retry(job_id, visit.scope, actor=visit.who.actor)
    return visit.go(f"/jobs/{job_id}", "It is due now, with a whole retry schedule before it.")


async def cancel(visit: Visit) -> web.StreamResponse:
    """End a job."""
    job_id, reason = visit.part("job_id"), visit.form.optional("reason")
    await visit.operations.jobs.cancel(job_id, visit.scope, actor=visit.who.actor, reason=reason)
    return visit.go(f"/jobs/{job_id}", "It is cancelled. A retry takes it up again.")


async def retry_many(visit: Visit) -> web.StreamResponse:
    """Retry all dead letters of a filter: counted first, done when that was confirmed."""
    asked = {name: visit.form.text(name) for name in FIELDS if visit.form.text(name)}
    sure = visit.form.ticked("sure")
    done = await visit.operations.jobs.retry_many(
        chosen(asked, visit), visit.scope, actor=visit.who.actor, dry_run=not sure
    )
    if not sure:
        return await visit.page("job_retry.html", counted=done, asked=asked)
    skipped = f", {done.skipped} changed meanwhile and were left alone" if done.skipped else ""
    more = " There are more: repeat it." if done.more else ""
    return visit.go("/jobs", f"{done.changed} are due now{skipped}.{more}", tone=WARN if done.more else "good")


async def list_state(visit: Visit) -> Mapping[str, Any]:
    """Return how many jobs of the page's filter came after the one that the page begins with."""
    asked = {name: visit.asked(name) for name in FIELDS if visit.asked(name)}
    found = await visit.operations.jobs.list(visit.scope, chosen(asked, visit), limit=NEWS)
    return {"new": news([each.job_id for each in found.items], visit.asked("after"))}


async def one_state(visit: Visit) -> Mapping[str, Any]:
    """Return what makes one job's page another one."""
    job = await visit.operations.jobs.get(visit.asked("id"), visit.scope)
    return {"status": str(job.status), "attempts": len(job.attempts), "updated": job.updated_at.isoformat()}


def chosen(asked: Mapping[str, str], visit: Visit) -> JobFilter:
    """Return the filter that an address or a form asks for."""
    status = asked.get("status", "")
    return JobFilter(
        status=JobStatus(status) if status in list(JobStatus) else None, connection=asked.get("connection") or None,
        kind=asked.get("kind") or None, source=asked.get("source") or None, error_code=asked.get("error_code") or None,
        text=asked.get("q") or None, **times_of(asked, now=visit.console.now()),
    )  # fmt: skip
