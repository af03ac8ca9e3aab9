"""The poller: looks at sources for what no webhook told of, each when it is due, and one process of all at a time."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from gateway.errors import GatewayError
from gateway.metrics import Metrics
from gateway.pipeline.looking import MAX_PAGES, Look, look
from gateway.pipeline.poll_state import PollState, load_state, poll_state, save_state
from gateway.registry import LiveSource, Registry
from gateway.sources.feed import Feed
from storage import Store
from storage.errors import StorageError

__all__ = ["Poller", "poll_state"]

log = structlog.get_logger("ledgergate.poller")

TICK_SECONDS = 1.0
LEASE = timedelta(minutes=2)
RENEW_SECONDS = 20.0
JITTER = 0.1
LONGEST_BACKOFF = 3600.0
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clocks of two processes may differ; a look still later in the future was written before ours was set."""
PLACES = 4


class LeaseGoneError(Exception):
    """Another process looks at the source by now."""


class Poller:
    """Asks sources with a feed. What it remembers lies in the store, so that any process may go on."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        now: Callable[[], datetime],
        owner: str,
        wake: Callable[[], None],
        metrics: Metrics,
        chance: random.Random | None = None,
        max_pages: int = MAX_PAGES,
    ) -> None:
        self._store, self._registry, self._now, self._owner = store, registry, now, owner
        self._wake, self._metrics, self._max_pages = wake, metrics, max_pages
        self._chance = chance or random.Random()  # noqa: S311 - jitter
        self._places = asyncio.Semaphore(PLACES)
        self._feeds: dict[str, tuple[LiveSource, Feed | None]] = {}
        self._asked: dict[str, tuple[datetime, datetime]] = {}
        """When a source's state was last looked at, and when to do so again."""
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    # Lifetime --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the clock."""
        self._loop = asyncio.create_task(self._watch())

    def wake(self) -> None:
        """Say that something may be due sooner than it seemed."""
        self._woken.set()

    async def stop(self) -> None:
        """Stop; a look under way is cut, and goes on from its watermark another time."""
        tasks = [*self._looking.values(), *([self._loop] if self._loop is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            for name, live in list(self._registry.sources.items()):
                feed = self._feed(name, live)
                if feed is not None and name not in self._looking and self._is_due(name):
                    self._looking[name] = asyncio.create_task(self._turn(name, live, feed))
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._woken.wait()

    def _is_due(self, name: str) -> bool:
        """Whether to look at a source's state: when it is time, and when the clock was set back."""
        now = self._now()
        asked, due = self._asked.get(name, (now, now))
        return due <= now or now < asked

    def _feed(self, name: str, live: LiveSource) -> Feed | None:
        """Return the feed of an active source, made once for each change of the source."""
        known = self._feeds.get(name)
        if known is None or known[0] is not live:
            self._asked.pop(name, None)
            known = self._feeds[name] = (live, _feed_of(live))
        return known[1] if live.row.status == "active" else None

    async def _turn(self, name: str, live: LiveSource, feed: Feed) -> None:
        asked = self._now()
        due = asked + timedelta(seconds=feed.interval)
        try:
            async with self._places:
                due = await self._look_if_due(name, live, feed)
        except StorageError:
            return  # the worker, which waits for the store too, has said so
        except Exception:  # a bug here must not stop the looks at other sources
            log.exception("poll_crashed", source=name)
        finally:
            self._asked[name] = (asked, due)
            del self._looking[name]

    # One look --------------------------------------------------------------------------------------------------

    async def _look_if_due(self, name: str, live: LiveSource, feed: Feed) -> datetime:
        """Look, unless another process does or has; return when to ask again."""
        state, now = await load_state(self._store, name), self._now()
        if state is not None and (due := _due_at(state, live, feed, now)) > now:
            return due
        lease = f"poll:{name}"
        if not await self._store.take_lease(lease, owner=self._owner, now=now, lease=LEASE):
            return now + min(LEASE, timedelta(seconds=feed.interval))
        try:
            state = await load_state(self._store, name)
            if state is None or state.began < live.row.created_at:  # none, or that of an earlier source of this name
                state = self._first(live, feed)
                await save_state(self._store, name, state, now=now)
            if (due := _due_at(state, live, feed, now)) > now:
                return due
            state = await self._look(name, live, feed, state, lease=lease)
            await save_state(self._store, name, state, now=self._now())
            return state.next_at
        except LeaseGoneError:
            return self._now() + timedelta(seconds=feed.interval)
        finally:
            await self._store.drop_lease(lease, owner=self._owner)

    def _first(self, live: LiveSource, feed: Feed) -> PollState:
        """Return the state of a source never seen: history is not gone through, so it begins now."""
        now = self._now()
        wait = 0.0 if feed.eager else feed.interval * self._chance.uniform(0.5, 1.0)
        began = max(now, live.row.created_at)  # which another machine's clock may have written
        return PollState(began=began, watermark=now, next_at=now + timedelta(seconds=wait))

    async def _look(self, name: str, live: LiveSource, feed: Feed, state: PollState, *, lease: str) -> PollState:
        """Look once and return the new state, whatever came of it. Raises StorageError, LeaseGoneError."""
        begun = self._now()
        since, goes_far = _since(feed, state, begun)
        renewed = time.monotonic()

        async def keep() -> None:
            nonlocal renewed
            if time.monotonic() - renewed < RENEW_SECONDS:
                return
            if not await self._store.take_lease(lease, owner=self._owner, now=self._now(), lease=LEASE):
                raise LeaseGoneError
            renewed = time.monotonic()

        try:
            found = await look(
                feed, live.row, self._store, since=since, until=begun, now=self._now, keep=keep,
                max_pages=self._max_pages,
            )  # fmt: skip
        except (StorageError, LeaseGoneError):
            raise
        except GatewayError as error:
            return self._failed(name, feed, state, error, begun)
        except Exception as error:  # a bug in one platform's feed
            if not state.failures:
                log.exception("poll_crashed", source=name, scheme=feed.scheme)
            return self._failed(name, feed, state, GatewayError(type(error).__name__), begun)
        finally:
            self._wake()
        return self._ended(name, feed, state, found, begun, goes_far=goes_far)

    def _failed(self, name: str, feed: Feed, state: PollState, error: GatewayError, begun: datetime) -> PollState:
        """Say so once, and wait longer each time."""
        self._metrics.looked(name, feed.scheme, code=error.code)
        if not state.failures:
            log.warning("poll_failed", source=name, scheme=feed.scheme, code=error.code, detail=error.detail)
        wait = max(feed.interval, min(feed.interval * 2 ** min(state.failures, 16), LONGEST_BACKOFF))
        told = {"at": begun.isoformat(), "code": error.code, "detail": error.detail or error.title}
        return replace(
            state, looked_at=begun, failures=state.failures + 1, error=told,
            next_at=self._now() + timedelta(seconds=max(self._spread(wait), error.retry_after or 0.0)),
        )  # fmt: skip

    def _ended(
        self, name: str, feed: Feed, state: PollState, found: Look, begun: datetime, *, goes_far: bool
    ) -> PollState:
        """Move the watermark as far as everything was found."""
        self._metrics.looked(name, feed.scheme, code=None, delivered=found.delivered)
        watermark = _watermark(state, found, begun, goes_far=goes_far)
        problem = _problem(found, moved=watermark > state.watermark)
        if state.failures:
            log.info("poll_back", source=name, scheme=feed.scheme, failures=state.failures)
        if problem and (state.error is None or state.error["detail"] != problem):
            log.warning("poll_incomplete", source=name, scheme=feed.scheme, detail=problem)
        if found.delivered:
            log.info("polled", source=name, scheme=feed.scheme, delivered=found.delivered)
        return replace(
            state, watermark=watermark, looked_at=begun, polled_at=begun, delivered=found.delivered, failures=0,
            long_at=begun if goes_far else state.long_at,
            next_at=self._now() + timedelta(seconds=self._spread(feed.interval)),
            error={"at": begun.isoformat(), "code": "incomplete", "detail": problem} if problem else None,
        )  # fmt: skip

    def _spread(self, seconds: float) -> float:
        return seconds * self._chance.uniform(1 - JITTER, 1 + JITTER)


def _feed_of(live: LiveSource) -> Feed | None:
    try:
        return live.adapter.feed() if live.adapter is not None else None
    except Exception:  # a plugin may raise anything, and the other sources go on
        log.exception("poll_impossible", source=live.row.name)
        return None


def _due_at(state: PollState, live: LiveSource, feed: Feed, now: datetime) -> datetime:
    """Return when the next look is due, whatever the interval or the clock was when that was written."""
    last = state.looked_at or state.began
    if state.began < live.row.created_at or last > now + CLOCK_TOLERANCE:
        return now
    return (
        state.next_at if state.failures else min(state.next_at, last + timedelta(seconds=feed.interval * (1 + JITTER)))
    )


def _since(feed: Feed, state: PollState, now: datetime) -> tuple[datetime, bool]:
    """Return where a look begins, and whether it is one that goes far back."""
    earliest = state.began - feed.overlap if feed.eager else state.began
    if feed.long_overlap is not None and now - (state.long_at or state.began) >= feed.long_every:
        return max(earliest, state.watermark - feed.long_overlap), True
    return max(earliest, state.watermark - feed.overlap), False


def _watermark(state: PollState, found: Look, begun: datetime, *, goes_far: bool) -> datetime:
    """Return up to when everything was found. A list that was cut has only its beginning, if that came in order."""
    if found.complete:
        return begun
    if goes_far or not found.ordered or found.last_at is None:
        return state.watermark
    return max(state.watermark, min(found.last_at, begun))


def _problem(found: Look, *, moved: bool) -> str:
    """Return what a person should know about a look that went well but did not find all."""
    if found.unread:
        return f"{found.unread} could not be read, {found.first_unread} among them; they are tried again"
    return "" if found.complete or moved else "the list is longer than one look reads; its beginning was taken"
