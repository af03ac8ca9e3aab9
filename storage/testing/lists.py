"""Lists: newest first, in pages that neither repeat nor leave out a row, however much is added meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.base import Store
from storage.cursors import MAX_PAGE, encode
from storage.errors import CursorInvalidError
from storage.records import DeliveryStatus, Dispatched, JobStatus, Page
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    HERE,
    T0,
    at,
    claim,
    claim_one,
    dispatch_jobs,
    make_alert,
    make_delivery,
    make_job,
    make_key,
    make_link,
    make_message,
    make_review,
    make_seen,
    make_settlement,
    settle_dispatch,
    write_alert,
)

Add = Callable[[Store, int], Awaitable[Any]]


async def _add_delivery(store: Store, n: int) -> None:
    await store.add_delivery(make_delivery(f"msg_{n:03}", seconds=n))


async def _add_job(store: Store, n: int) -> None:
    await store.add_job(make_job(f"cust_{n:03}"), now=at(n))


async def _add_mapping(store: Store, n: int) -> None:
    await store.put_mapping(make_link(f"rec_{n}", make_key(f"cust_{n:03}")), now=at(n))


async def _add_customer(store: Store, n: int) -> None:
    new = make_delivery(f"msg_{n:03}")
    await store.add_delivery(new)
    await settle_dispatch(store, new.delivery_id, customer=make_seen(f"cust_{n:03}"))


async def _add_review(store: Store, n: int) -> None:
    await store.add_job(make_job(f"cust_{n:03}"), now=T0)
    claimed = await claim_one(store)
    await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review(reason=f"{n:03}")))


async def _add_audit(store: Store, n: int) -> None:
    await store.add_audit(actor="a", action="b", subject=f"{n:03}", scope=HERE, now=at(n))


async def _add_alert(store: Store, n: int) -> None:
    await write_alert(store, make_alert(f"c{n:03}", alert_id=f"alr_{n:03}"))


async def _add_message(store: Store, n: int) -> None:
    alert = make_alert(f"c{n:03}")
    await write_alert(store, alert, make_message(alert, message_id=f"msg_{n:03}"))


LISTS: dict[str, tuple[Add, str, bool]] = {
    "list_deliveries": (_add_delivery, "delivery_key", True),
    "list_jobs": (_add_job, "entity_id", True),
    "list_mappings": (_add_mapping, "entity_id", False),
    "list_customers": (_add_customer, "customer_id", False),
    "list_reviews": (_add_review, "entity_id", True),
    "list_audit": (_add_audit, "subject", True),
    "list_alerts": (_add_alert, "subject", True),
    "list_alert_messages": (_add_message, "message_id", True),
}
"""How each list is filled, what tells its rows apart, and whether the newest comes first."""


class ListContract(StoreFixtures):
    """Pages."""

    def test_every_list_is_tried(self) -> None:
        paged = {name for name, method in vars_of(Store).items() if "cursor" in _parameters(method)}
        assert paged == set(LISTS)

    @pytest.mark.parametrize("name", LISTS)
    async def test_pages_leave_out_and_repeat_nothing(self, store: Store, name: str) -> None:
        add, column, newest_first = LISTS[name]
        for n in range(7):
            await add(store, n)
        whole = await self._page(store, name, limit=100)
        assert whole.next_cursor is None
        seen: list[Any] = []
        cursor: str | None = None
        for pages in range(1, 9):
            page = await self._page(store, name, limit=3, cursor=cursor)
            seen += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
            if newest_first:
                await add(store, 100 + pages)
        assert seen == list(whole.items)
        told = [getattr(item, column)[-3:] for item in seen]
        assert told == sorted(told, reverse=newest_first)
        assert len(set(told)) == 7

    @pytest.mark.parametrize("name", LISTS)
    async def test_a_page_that_is_just_full_has_no_next(self, store: Store, name: str) -> None:
        add, _, _ = LISTS[name]
        for n in range(3):
            await add(store, n)
        page = await self._page(store, name, limit=3)
        assert (len(page.items), page.next_cursor) == (3, None)

    @pytest.mark.parametrize("name", LISTS)
    async def test_an_empty_list_is_an_empty_page(self, store: Store, name: str) -> None:
        page = await self._page(store, name)
        assert (list(page.items), page.next_cursor) == ([], None)

    @pytest.mark.parametrize("name", LISTS)
    async def test_a_cursor_that_no_list_has_made_is_refused(self, store: Store, name: str) -> None:
        for cursor in ("", "x", "!", "ü", "bnVsbA", "W10", encode("a", "b", "c"), encode("9" * 40), "A" * 5000):
            with pytest.raises(CursorInvalidError):
                await self._page(store, name, cursor=cursor)

    @pytest.mark.parametrize("name", LISTS)
    async def test_a_limit_that_makes_no_sense_gives_one_row(self, store: Store, name: str) -> None:
        add, _, _ = LISTS[name]
        for n in range(3):
            await add(store, n)
        for limit in (0, -1, -(10**9)):
            page = await self._page(store, name, limit=limit)
            assert len(page.items) == 1, limit
            assert page.next_cursor is not None, limit

    async def test_a_page_is_bounded_whatever_is_asked_for(self, store: Store) -> None:
        await store.add_delivery(make_delivery())
        jobs = [make_job(f"cust_{n}") for n in range(MAX_PAGE + 5)]
        await settle_dispatch(store, (await store.list_deliveries()).items[0].delivery_id, jobs=jobs)
        page = await store.list_jobs(limit=10**9)
        assert len(page.items) == MAX_PAGE
        rest = await store.list_jobs(limit=10**9, cursor=page.next_cursor)
        assert (len(rest.items), rest.next_cursor) == (5, None)

    async def test_lists_of_deliveries_have_neither_headers_nor_bodies(self, store: Store) -> None:
        await store.add_delivery(make_delivery())
        listed = (await store.list_deliveries()).items[0]
        assert (listed.headers, listed.body) == (None, None)
        assert listed.body_bytes > 0

    async def test_deliveries_are_found_by_each_filter(self, store: Store) -> None:
        ended = await dispatch_jobs(store, "key_a", seconds=10)
        failed = make_delivery("key_b", seconds=20)
        await store.add_delivery(failed)
        await settle_dispatch(
            store,
            failed.delivery_id,
            status=DeliveryStatus.FAILED,
            event_type="odd",
            entity_id="cust_b",
            subject="inv_b",
        )
        await store.add_delivery(make_delivery("key_c", seconds=30, source="tirdad"))

        async def found(**filters: Any) -> list[str]:
            return [each.delivery_key[-1] for each in (await store.list_deliveries(**filters)).items]

        assert await found() == ["c", "b", "a"]
        assert await found(source="tirdad") == await found(status=DeliveryStatus.PENDING) == ["c"]
        assert await found(source="flex") == ["b", "a"]
        assert await found(status=DeliveryStatus.FAILED) == await found(event_type="odd") == ["b"]
        assert await found(status=DeliveryStatus.IGNORED, source="flex") == ["a"]
        assert await found(since=at(20)) == ["c", "b"]
        assert await found(until=at(20)) == ["a"]
        assert await found(since=at(10), until=at(30), source="flex") == ["b", "a"]
        assert await found(since=at(31)) == await found(until=at(10)) == []
        for text in (failed.delivery_id, "key_b", "cust_b", "inv_b"):
            about = [text, "nothing"]
            assert await found(about=about) == ["b"]
            assert await found(about=about, source="flex", status=DeliveryStatus.FAILED) == ["b"]
            assert await found(about=about, source="tirdad") == await found(about=about, since=at(21)) == []
        assert await found(about=["cust_1"]) == ["a"]
        assert await found(about=["cust_1", failed.delivery_id, "inv_b"]) == ["b", "a"]
        assert await found(about=["nothing"]) == await found(about=[]) == []
        assert ended

    async def test_deliveries_are_found_by_their_jobs(self, store: Store) -> None:
        for n, connection in enumerate(("nomod", "qbo", "nomod")):
            job = make_job(f"cust_{n}", connection=connection, gate=connection)
            await dispatch_jobs(store, f"msg_{n}", job, seconds=n)
        await dispatch_jobs(store, "msg_3", seconds=3)
        for claimed in await claim(store, nomod=2, qbo=1):
            if claimed.job.entity_id != "cust_0":
                await store.settle(make_settlement(claimed, JobStatus.FAILED, error={"code": "rejected"}))

        async def found(**filters: Any) -> list[str]:
            return [each.delivery_key[-1] for each in (await store.list_deliveries(**filters)).items]

        assert await found(connection="nomod") == ["2", "0"]
        assert await found(error_code="rejected") == ["2", "1"]
        assert await found(error_code="rejected", connection="qbo", status=DeliveryStatus.FAILED) == ["1"]
        assert await found(error_code="rejected", source="flex", since=at(2)) == ["2"]
        assert await found(connection="nomod", about=["cust_1", "msg_0"]) == ["2", "0"]
        assert await found(error_code="rejected", about=["msg_1", "msg_0"]) == ["1"]
        assert await found(connection="none") == await found(error_code="none") == []
        first = await store.list_deliveries(connection="nomod", limit=1)
        rest = await store.list_deliveries(connection="nomod", limit=1, cursor=first.next_cursor)
        assert [each.delivery_key for each in (*first.items, *rest.items)] == ["msg_2", "msg_0"]

    async def test_a_range_of_time_holds_over_long_spans(self, store: Store) -> None:
        """Where the order of arrival and the times of receipt differ by a little, the times decide."""
        day = 86_400
        for n, seconds in enumerate((0, day, 3 * day + 1, 3 * day, 9 * day)):
            await store.add_delivery(make_delivery(f"msg_{n}", seconds=seconds))

        async def found(since: float, until: float) -> list[str]:
            page = await store.list_deliveries(since=at(since), until=at(until))
            return [each.delivery_key[-1] for each in page.items]

        assert await found(0, 10 * day) == ["4", "3", "2", "1", "0"]
        assert await found(day, 3 * day + 1) == ["3", "1"]
        assert await found(3 * day + 1, 9 * day) == ["2"]
        assert await found(10 * day, 11 * day) == []

    async def test_a_search_that_finds_much_is_paged(self, store: Store) -> None:
        for n in range(5):
            await dispatch_jobs(store, f"msg_{n}")
        first = await store.list_deliveries(about=["cust_1"], limit=3)
        second = await store.list_deliveries(about=["cust_1"], limit=3, cursor=first.next_cursor)
        keys = [each.delivery_key for each in (*first.items, *second.items)]
        assert keys == [f"msg_{n}" for n in (4, 3, 2, 1, 0)]

    async def test_jobs_are_found_by_time_and_by_what_they_are_about(self, store: Store) -> None:
        for n in range(3):
            new = make_delivery(f"msg_{n}", seconds=n * 86_400)
            jobs = [make_job(f"cust_{n}", job_id=f"job_{n}", delivery_id=new.delivery_id)]
            await store.add_delivery(new)
            decided = Dispatched(
                delivery_id=new.delivery_id, event_type="e", entity_id=f"cust_{n}", subject=f"inv_{n}", jobs=jobs
            )
            await store.settle_dispatch([decided], now=at(n * 86_400))
        of = {n: (await store.get_job(f"job_{n}")).delivery_id or "" for n in range(3)}

        async def found(**filters: Any) -> list[str]:
            return [each.job_id[-1] for each in (await store.list_jobs(**filters)).items]

        assert await found(since=at(86_400)) == ["2", "1"]
        assert await found(until=at(86_400)) == ["0"]
        assert await found(since=at(1), until=at(2 * 86_400)) == ["1"]
        assert await found(since=at(3 * 86_400)) == []
        for about in ("job_1", of[1], "cust_1", "inv_1"):
            assert await found(about=[about, "nothing"]) == ["1"], about
            assert await found(about=[about], status=JobStatus.PENDING, connection="nomod") == ["1"]
            assert await found(about=[about], delivery_id=of[1], entity_id="cust_1") == ["1"]
            assert await found(about=[about], since=at(2 * 86_400)) == await found(about=[about], entity_id="x") == []
        assert await found(about=["cust_0", of[2]]) == ["2", "0"]
        assert await found(about=["nothing"]) == await found(about=[]) == []
        first = await store.list_jobs(about=["cust_0", "cust_1", "inv_2"], limit=2)
        rest = await store.list_jobs(about=["cust_0", "cust_1", "inv_2"], limit=2, cursor=first.next_cursor)
        assert [each.job_id for each in (*first.items, *rest.items)] == ["job_2", "job_1", "job_0"]

    async def _page(self, store: Store, name: str, **more: Any) -> Page[Any]:
        found: Page[Any] = await getattr(store, name)(**more)
        return found


def vars_of(protocol: type) -> dict[str, Any]:
    """Return the public methods of a protocol, its bases' too."""
    return {
        name: getattr(protocol, name)
        for name in dir(protocol)
        if not name.startswith("_") and callable(getattr(protocol, name))
    }


def _parameters(method: Any) -> list[str]:
    code = method.__code__
    return list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
