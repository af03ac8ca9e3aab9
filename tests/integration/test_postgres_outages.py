"""When PostgreSQL goes away: every node comes back by itself when the server does, and nothing acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from storage.errors import StoreUnavailableError
from storage.postgres.store import PostgresStore
from storage.testing.making import LEASE, T0, make_delivery, make_job, make_link
from tests.postgres_setup import Server, named, query, run

pytestmark = pytest.mark.postgres


async def test_sessions_that_the_server_ends_are_replaced(postgres_url: str) -> None:
    async with two_nodes(postgres_url) as (store, twin):
        await store.add_job(make_job("waits"), now=T0)
        for _ in range(3):
            await run(
                postgres_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            await comes_back(lambda: store.ping(now=T0))
            await comes_back(lambda: store.add_delivery(make_delivery("again")))
            await comes_back(lambda: store.claim_jobs({"other": 1}, owner="w1", now=T0, lease=LEASE))
        await wakes(store, twin)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.remove()


async def test_all_come_back_by_themselves_after_the_server_was_away(server: Server) -> None:
    """Stopped as by a power cut: nothing that was acknowledged is lost, and nothing has to be started again."""
    async with two_nodes(server.url) as (store, twin):
        kept = [(await store.add_delivery(make_delivery(f"before_{n}")))[0] for n in range(50)]
        await store.add_job(make_job(), now=T0)
        adding = [asyncio.ensure_future(store.add_delivery(make_delivery(f"during_{n}"))) for n in range(200)]
        await asyncio.sleep(0)
        await asyncio.to_thread(server.stop)
        outcomes = await asyncio.gather(*adding, return_exceptions=True)
        assert {type(each) for each in outcomes} <= {tuple, StoreUnavailableError}
        kept += [each[0] for each in outcomes if isinstance(each, tuple)]
        for _ in range(2):
            for call in calls(store):
                with pytest.raises(StoreUnavailableError):
                    await call()
        assert store.deliveries_waiting == 0
        await asyncio.to_thread(server.start)
        for each in (store, twin):
            for call in calls(each):
                await comes_back(call)
        for delivery_id in kept:
            assert (await twin.get_delivery(delivery_id)).body == make_delivery().body
        await wakes(store, twin)


async def test_a_server_that_does_not_sync_is_refused(server: Server) -> None:
    await run(server.url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    try:
        for _ in range(600):  # until the server has read its settings again
            if await query(server.url, "SHOW fsync") == "off":
                break
        store = PostgresStore(server.url)
        with pytest.raises(Exception, match="does not keep what it commits"):
            await store.open()
        await store.close()
    finally:
        await run(server.url, "ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")


async def test_a_plain_role_is_enough_and_too_few_connections_are_told(server: Server) -> None:
    name = "gate_of_its_own"
    await run(
        server.url, f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name} OWNER {name}",
        f"ALTER ROLE {name} CONNECTION LIMIT 1",
    )  # fmt: skip
    url = named(server.url, name).replace("//postgres", f"//{name}", 1)
    crowded = PostgresStore(url)
    with pytest.raises(StoreUnavailableError):
        await crowded.open()
    await crowded.close()
    await run(server.url, f"ALTER ROLE {name} CONNECTION LIMIT 20")
    store = PostgresStore(url)
    await comes_back(store.open)
    await store.add_delivery(make_delivery())
    assert await query(url, "SELECT current_user") == name
    await store.close()


async def test_a_store_can_be_closed_while_the_server_is_away(server: Server) -> None:
    store = PostgresStore(server.url)
    await store.open()
    await asyncio.to_thread(server.stop)
    await store.close()
    unopened = PostgresStore(server.url)
    with pytest.raises(StoreUnavailableError):
        await unopened.open()
    await unopened.close()
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def two_nodes(url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Open two stores on one database."""
    store, twin = PostgresStore(url), PostgresStore(url)
    await store.open()
    await twin.open()
    try:
        yield store, twin
    finally:
        await store.close()
        await twin.close()


def calls(store: PostgresStore) -> list[Callable[[], Awaitable[Any]]]:
    """Return one of each kind of call: at the door, one statement, several, a transaction."""
    return [
        lambda: store.add_delivery(make_delivery("probe")), lambda: store.ping(now=T0), store.backlog,
        lambda: store.claim_jobs({"nomod": 0}, owner="w1", now=T0, lease=LEASE),
        lambda: store.put_mapping(make_link(), now=T0),
    ]  # fmt: skip


async def comes_back(call: Callable[[], Awaitable[Any]]) -> None:
    """Call until the store is there again; nothing but StoreUnavailableError may be told meanwhile."""
    for _ in range(600):
        try:
            await call()
        except StoreUnavailableError:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("the store did not come back")


async def wakes(store: PostgresStore, twin: PostgresStore) -> None:
    """Assert that the one hears the other again."""
    for n in range(600):
        token = await store.change_token()
        await twin.add_delivery(make_delivery(f"ring_{n}"))
        if await store.wait_for_change(0.1, since=token):
            return
    pytest.fail("nobody was woken")
