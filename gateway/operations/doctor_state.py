"""What `doctor` reads from the store: sources, what waits, what failed, what a person must decide."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from gateway.errors import SecretKeyError
from gateway.operations.findings import Finding, attention, broken, counted, note, ok
from gateway.operations.sources import Sources
from gateway.secrets import Vault
from gateway.spans import spoken
from storage import Store
from storage.errors import StorageError
from storage.records import JobStatus, ReviewStatus, SourceActivity, SourceRow

QUIET = timedelta(days=1)
"""A new source may be silent for so long before it counts as never heard."""
RECENT = timedelta(days=1)
LATE = timedelta(minutes=15)
"""Work that has been due for longer than this is not being done."""
AHEAD = timedelta(minutes=5)
_PAGE = 200

STALE_CLOCK = "Compare this machine's clock and the sender's with NTP: more than five minutes apart is refused."
COPY_AGAIN = "Copy the sender's secret again, then `ledgergate source rotate-secret {name} --secret-stdin`."
NEXT_STEPS = {
    "signature_mismatch": COPY_AGAIN,
    "token_mismatch": COPY_AGAIN,
    "timestamp_stale": STALE_CLOCK,
    "timestamp_future": STALE_CLOCK,
    "timestamp_invalid": STALE_CLOCK,
    "headers_missing": (
        "The sender does not sign, or a proxy drops its headers; compare the source's `verification` with the sender."
    ),
    "header_repeated": "A proxy before the gateway repeats signature headers; have it pass them on once.",
    "payload_too_large": "Raise LEDGERGATE_MAX_BODY_BYTES, or have the sender trim its webhooks.",
}


async def writable(store: Store, vault: Vault, *, now: datetime) -> AsyncIterator[Finding]:
    """Prove that the store can be written, and that the secret key is its own."""
    try:
        await store.ping(now=now)
    except StorageError as error:
        yield broken("database", f"The database cannot be written: {error.detail or error.title}.", error.resolution)
        return
    yield ok("database", "The database answers and can be written.")
    try:
        await vault.prove(store)
    except SecretKeyError as error:
        yield broken("secret_key", f"The secret key does not fit the database: {error.detail}.", error.resolution)
    else:
        yield ok("secret_key", "The secret key fits the database.")


async def sources(store: Store, sources_: Sources, *, now: datetime) -> AsyncIterator[Finding]:
    """Look at every source: whether it can receive, was heard, and was refused of late."""
    found = await store.list_sources()
    if not found:
        yield note(
            "sources",
            "No source is configured yet: nothing can be received.",
            "Write a TOML file and `ledgergate apply FILE`, or `ledgergate source add --help`.",
        )
    for row in found:
        problem = sources_.problem(row)
        if problem is not None:
            yield broken(
                "sources", f"Source {row.name} cannot receive: {problem}.", "Correct it, then `ledgergate apply FILE`.",
                subject=row.name,
            )  # fmt: skip
        elif row.status != "active":
            yield note(
                "sources", f"Source {row.name} is disabled: its sender gets 404.",
                f"`ledgergate source enable {row.name}` lets it in again.", subject=row.name,
            )  # fmt: skip
        else:
            yield _heard(row, await store.source_activity(row.name), now=now)


def _heard(row: SourceRow, activity: SourceActivity, *, now: datetime) -> Finding:
    accepted, refused = activity.last_accepted_at, activity.last_rejected
    if refused is not None and now - refused.at < RECENT and (accepted is None or refused.at > accepted):
        step = NEXT_STEPS.get(refused.reason, "`ledgergate source show {name}` has the last refused requests.")
        heard = f"; it was last heard {spoken(now - accepted)} ago" if accepted else ", and never accepted one"
        return attention(
            "sources",
            f"Source {row.name} refused a request {spoken(now - refused.at)} ago ({refused.reason}){heard}.",
            step.format(name=row.name),
            subject=row.name,
        )
    if accepted is not None:
        return ok("sources", f"Source {row.name} was last heard {spoken(now - accepted)} ago.", subject=row.name)
    step = f"Give its sender the URL that `ledgergate source show {row.name}` names, or try `source send-test`."
    said = f"Source {row.name} has never been heard since it was made, {spoken(now - row.created_at)} ago."
    if now - row.created_at > QUIET:
        return attention("sources", said, step, subject=row.name)
    return note("sources", said, step, subject=row.name)


async def work(store: Store, *, now: datetime) -> AsyncIterator[Finding]:
    """Look at what waits, what has failed, and what only a person may decide."""
    backlog = await store.backlog()
    late = now - backlog.oldest_due_at if backlog.oldest_due_at else timedelta()
    if late > LATE:
        yield attention(
            "backlog",
            f"Work has been due for {spoken(late)} and is not being done.",
            "See that `ledgergate serve` or `ledgergate worker` runs, with this database; then look at its log.",
        )
    else:
        waiting = backlog.jobs.get("pending", 0) + backlog.deliveries
        yield ok("backlog", f"Nothing is late; {counted(waiting, 'piece')} of work wait for their time.")
    if backlog.reviews:
        page = await store.list_reviews(status=ReviewStatus.OPEN, limit=_PAGE)
        oldest = min((review.created_at for review in page.items), default=now)
        yield attention(
            "reviews",
            f"{counted(backlog.reviews, 'review waits', 'reviews wait')} for a person, the oldest for"
            f" {spoken(now - oldest)}.",
            "`ledgergate review list`, then `ledgergate review show ID` and `ledgergate review resolve ID`.",
        )
    failed = backlog.jobs.get("failed", 0)
    if failed:
        yield attention(
            "jobs",
            f"{counted(failed, 'job has', 'jobs have')} failed for good ({await _codes(store)}).",
            "`ledgergate job list --status failed`, cure the cause, then `ledgergate job retry --status failed`.",
        )


async def _codes(store: Store) -> str:
    page = await store.list_jobs(status=JobStatus.FAILED, limit=_PAGE)
    codes = Counter(str((job.error or {}).get("code", "unknown")) for job in page.items)
    return ", ".join(f"{code}: {count}" for code, count in codes.most_common(5))


async def clock(store: Store, *, now: datetime) -> AsyncIterator[Finding]:
    """Compare the clock with the newest delivery: time does not run backwards."""
    page = await store.list_deliveries(limit=1)
    newest = max((delivery.received_at for delivery in page.items), default=None)
    if newest is not None and newest - now > AHEAD:
        yield attention(
            "clock",
            f"The newest delivery was received {spoken(newest - now)} from now: the clock was set back, or was wrong.",
            "Set the clock, and keep it set with NTP; jobs that are due in the future wait for it.",
        )
    else:
        yield ok("clock", f"The clock says {now:%Y-%m-%d %H:%M:%S} UTC, and nothing contradicts it.")
