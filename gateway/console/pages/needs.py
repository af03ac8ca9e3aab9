"""What needs a person: decisions, dead letters by cause, paused connections, and what could not be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import web

from gateway.console.attention import MOST, look_for_needs
from gateway.console.visit import Visit
from gateway.console.words import GOOD, WARN
from gateway.operations.consents import takes_consent
from gateway.operations.jobs import JobFilter, JobSummary
from gateway.operations.reviews import ReviewFilter
from gateway.operations.views import Problem
from storage.errors import ConflictError, NotFoundError
from storage.records import DeliveryStatus, JobStatus, ReviewStatus

UNREADABLE_SINCE = timedelta(days=7)


@dataclass(slots=True, kw_only=True)
class Cause:
    """Dead letters with one error code."""

    code: str
    error: Problem | None
    jobs: list[JobSummary]


async def show(visit: Visit) -> web.StreamResponse:
    """Show the page."""
    operations, scope = visit.operations, visit.scope
    reviews = await operations.reviews.list(scope, ReviewFilter(status=ReviewStatus.OPEN), limit=MOST)
    failed = await operations.jobs.list(scope, JobFilter(status=JobStatus.FAILED), limit=MOST)
    connections = [each for each in await operations.connections.list(scope) if each["status"] == "paused"]
    since = visit.console.now() - UNREADABLE_SINCE
    broken = await visit.console.store.list_deliveries(scope, status=DeliveryStatus.FAILED, since=since, limit=MOST)
    return await visit.page(
        "needs.html", reviews=reviews, names=await visit.names(job.entity_id for job in failed.items),
        causes=by_cause(failed.items), more_failed=failed.next_cursor is not None,
        paused=[(each, await _waiting(visit, each["name"]), takes_consent(each["connector"])) for each in connections],
        unreadable=[each for each in broken.items if each.event_type is None], live=await visit.live("needs"),
    )  # fmt: skip


async def act(visit: Visit) -> web.StreamResponse:
    """Retry or cancel the dead letters that were ticked. Both are safe: a job looks before it creates."""
    chosen = visit.form.all("job")[:MOST]
    cancels = visit.form.text("do") == "cancel"
    if not chosen:
        return visit.go("/needs", "Nothing was ticked.", tone=WARN)
    jobs, done = visit.operations.jobs, 0
    for job_id in chosen:
        try:
            if cancels:
                await jobs.cancel(job_id, visit.scope, actor=visit.who.actor, reason=visit.form.optional("reason"))
            else:
                await jobs.retry(job_id, visit.scope, actor=visit.who.actor)
            done += 1
        except (ConflictError, NotFoundError):
            continue  # somebody was faster
    left = len(chosen) - done
    said = f"{done} {'cancelled' if cancels else 'due now'}" + (f", {left} had changed meanwhile" if left else "")
    return visit.go("/needs", f"{said}.", tone=WARN if left else GOOD)


async def state(visit: Visit) -> Mapping[str, Any]:
    """Return what makes this page another one."""
    needs = await look_for_needs(visit.console.store, visit.scope)
    newest = await visit.console.store.list_reviews(visit.scope, status=ReviewStatus.OPEN, limit=1)
    return {"needs": needs.shown if needs.total else "", "newest": [each.review_id for each in newest.items]}


def by_cause(jobs: Any) -> list[Cause]:
    """Return dead letters by error code, the most frequent first."""
    causes: dict[str, Cause] = {}
    for job in jobs:
        code = job.error.code if job.error is not None else "unknown"
        causes.setdefault(code, Cause(code=code, error=job.error, jobs=[])).jobs.append(job)
    return sorted(causes.values(), key=lambda cause: -len(cause.jobs))


async def _waiting(visit: Visit, connection: str) -> str:
    """Return how many jobs wait for a paused connection."""
    page = await visit.operations.jobs.list(
        visit.scope, JobFilter(status=JobStatus.PENDING, connection=connection), limit=MOST
    )
    return f"{len(page.items)}{'+' if page.next_cursor else ''}"
