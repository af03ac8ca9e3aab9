"""An installation moves from SQLite to PostgreSQL whole, or not at all."""

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from storage.copying import CHUNK, TABLES, copy_store
from storage.errors import ConflictError, StorageError, StoreUnavailableError
from storage.postgres.store import PostgresStore
from storage.records import DeliveryStatus, JobStatus
from storage.sqlite.store import SqliteStore
from storage.testing.making import (
    HERE,
    T0,
    at,
    claim_one,
    dispatch_jobs,
    make_alert,
    make_api_key,
    make_channel,
    make_connection,
    make_delivery,
    make_intent,
    make_job,
    make_key,
    make_link,
    make_message,
    make_rejection,
    make_review,
    make_seen,
    make_settlement,
    make_source,
    running_job,
    settle_dispatch,
    write_alert,
)
from tests.postgres_setup import query, run

pytestmark = pytest.mark.postgres


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.db")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def target(postgres_url: str) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(postgres_url)
    await made.open()
    yield made
    await made.close()


def quietly(table: str, done: int, total: int) -> None:
    assert 0 < done <= total, table


async def live_a_little(store: SqliteStore) -> None:
    """Leave rows in every table, and odd values in them."""
    await store.put_source(make_source(secrets={"a": b"\x00\xff", "b": b""}))
    await store.put_connection(make_connection(account={"id": "ä"}))
    await store.save_tokens("nomod", b"\x00tokens", replaces=0, now=T0)
    await store.put_fact("nomod", "search", "filter", now=T0)
    await store.change_budget("qbo", lambda _state, now: ({"taken": [[1, 2]], "ü": str(now)}, None), now=T0)
    await store.change_circuit("qbo", lambda was: replace(was, failures=3, held_until=T0))
    await store.take_lease("poll", owner="a", now=T0, lease=at(60) - T0)
    await store.add_key(make_api_key())
    await store.put_channel(make_channel())
    await store.put_channel(make_channel("every", tenant_id=None, environment_id=None))
    alert = make_alert()
    await write_alert(store, alert, make_message(alert), make_message(alert, "every"))
    await store.note_activity(accepted={"flex": T0}, rejected=[make_rejection()], counts={("flex", "bad"): 3})
    await store.add_audit(actor="ada", action="put", subject="flex", scope=HERE, detail={"n": [1, None]}, now=T0)
    await store.add_delivery(make_delivery("waits", body=bytes(range(256)) * 9))
    odd = make_delivery("odd \x00 \u2028 key", body=b"")
    await store.add_delivery(odd)
    await settle_dispatch(store, odd.delivery_id, entity_id="cust\x00", status=DeliveryStatus.FAILED, reason="odd \x00")
    for n in range(30):
        await dispatch_jobs(store, f"msg_{n}", make_job(f"cust_{n}", due=1000), seconds=n)
    claimed = await running_job(store, "linked", subject="inv_1", payload={"ü": 1.5})
    new = make_intent(make_key("linked"), guards=("mail:x",))
    begun = await store.begin_intent(new, job_id=claimed.job.job_id, fence=1)
    await store.settle(
        make_settlement(
            claimed, link=make_link(key=make_key("linked")), close_intent=begun.intent_id, customer=make_seen()
        )
    )
    asked = await running_job(store, "asked")
    await store.settle(make_settlement(asked, JobStatus.NEEDS_REVIEW, review=make_review()))
    doubtful = await running_job(store, "doubtful")
    await store.begin_intent(make_intent(make_key("doubtful"), seconds=2), job_id=doubtful.job.job_id, fence=1)


async def told(store: Any) -> list[Any]:
    """Return all that can be listed."""
    deliveries = (await store.list_deliveries(limit=500)).items
    jobs = (await store.list_jobs(limit=500)).items
    return [
        [await store.get_delivery(each.delivery_id) for each in deliveries], jobs,
        [await store.list_attempts(each.job_id) for each in jobs], (await store.list_mappings(limit=500)).items,
        (await store.list_reviews(limit=500)).items, (await store.list_customers(limit=500)).items,
        (await store.list_audit(limit=500)).items, await store.list_sources(), await store.list_connections(),
        await store.list_keys(), await store.load_tokens("nomod"), await store.get_fact("nomod", "search"),
        await store.list_circuits(), (await store.change_budget("qbo", lambda was, _: (was, was), now=T0))[0],
        await store.source_activity("flex"), await store.list_rejections("flex"), await store.config_version(),
        await store.backlog(), await store.list_channels(), (await store.list_alerts()).items,
        (await store.list_alert_messages()).items,
    ]  # fmt: skip


async def empty(url: str) -> bool:
    counts: list[int] = [await query(url, f"SELECT count(*) FROM {table}") for table in TABLES]  # noqa: S608 - our own
    return sum(counts) == 1  # the version of the configuration


async def test_everything_is_there_afterwards_and_work_goes_on(source: SqliteStore, target: PostgresStore) -> None:
    await live_a_little(source)
    seen: dict[str, int] = {}
    report = await copy_store(source, target, lambda table, done, _: seen.update({table: done}))
    assert seen == {table: each.rows for table, each in report.tables.items()}
    assert set(report.tables) == set(TABLES)
    assert min(each.rows for each in report.tables.values()) > 0
    assert report.rows == sum(seen.values())
    before, after = await told(source), await told(target)
    assert [_plain(each) for each in before] == [_plain(each) for each in after]
    assert await target.add_delivery(make_delivery("waits")) == (before[0][-1].delivery_id, True)
    fresh = make_delivery("fresh")
    assert await target.add_delivery(fresh) == (fresh.delivery_id, False)
    assert (await target.list_deliveries(limit=1)).items[0].delivery_id == fresh.delivery_id
    again = await claim_one(target, seconds=31)
    assert again.job.entity_id == "doubtful"
    assert again.intent is not None
    assert again.intent.snapshot == {"name": "Ada"}
    await target.add_audit(actor="bob", action="put", subject="x", now=T0)
    await target.add_job(make_job("new"), now=T0)


async def test_an_empty_installation_can_be_moved(source: SqliteStore, target: PostgresStore) -> None:
    report = await copy_store(source, target, quietly)
    assert {table for table, each in report.tables.items() if each.rows} == {"meta"}
    assert await target.config_version() == 1


async def test_more_rows_than_are_taken_at_a_time(source: SqliteStore, target: PostgresStore) -> None:
    new = make_delivery()
    await source.add_delivery(new)
    await settle_dispatch(source, new.delivery_id, jobs=[make_job(f"c{n}") for n in range(CHUNK * 2 + 7)])
    steps: list[tuple[int, int]] = []
    await copy_store(
        source, target, lambda table, done, total: steps.append((done, total)) if table == "jobs" else None
    )
    total = CHUNK * 2 + 7
    assert steps == [(CHUNK, total), (2 * CHUNK, total), (total, total)]


@pytest.mark.parametrize(
    "what",
    [
        lambda store: store.add_delivery(make_delivery("one")),
        lambda store: store.put_meta("secret_key_check", "x"),
        lambda store: store.add_key(make_api_key()),
    ],
    ids=["a delivery", "a start of the gateway", "a key"],
)
async def test_a_target_that_is_not_empty_is_left_as_it_is(
    source: SqliteStore, target: PostgresStore, what: Any
) -> None:
    await live_a_little(source)
    await what(target)
    before = await told(target)
    with pytest.raises(ConflictError, match="not empty"):
        await copy_store(source, target, quietly)
    assert await told(target) == before


async def test_a_target_that_was_only_looked_at_is_empty(source: SqliteStore, target: PostgresStore) -> None:
    await target.ping(now=T0)
    await copy_store(source, target, quietly)


async def test_a_source_that_is_in_use_is_not_copied(
    source: SqliteStore, target: PostgresStore, postgres_url: str
) -> None:
    """What arrived meanwhile would be acknowledged and left behind."""
    await live_a_little(source)

    def write_beside(table: str, _done: int, _total: int) -> None:
        if table == "jobs":
            with sqlite3.connect(source.path) as other:
                other.execute("INSERT INTO facts VALUES ('o', 'k', 'v', 0)")
            other.close()

    with pytest.raises(ConflictError, match="written to during the copy"):
        await copy_store(source, target, write_beside)
    assert await empty(postgres_url)


@pytest.mark.parametrize(
    "change",
    ["NEW.reason := 'changed'; RETURN NEW", "IF NEW.number = 3 THEN RETURN NULL; END IF; RETURN NEW"],
    ids=["a value", "a row"],
)
async def test_a_copy_that_is_not_equal_is_not_kept(
    source: SqliteStore, target: PostgresStore, postgres_url: str, change: str
) -> None:
    await live_a_little(source)
    await run(
        postgres_url,
        f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; END $$",
        "CREATE TRIGGER spoil BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION spoil()",
    )
    try:
        with pytest.raises(StorageError, match="copy of deliveries is not equal"):
            await copy_store(source, target, quietly)
        assert await empty(postgres_url)
    finally:
        await run(postgres_url, "DROP TRIGGER spoil ON deliveries", "DROP FUNCTION spoil")


async def test_a_source_that_is_not_there_copies_nothing(tmp_path: Path, target: PostgresStore) -> None:
    with pytest.raises(StoreUnavailableError):
        await copy_store(SqliteStore(tmp_path / "none.db"), target, quietly)


def _plain(value: Any) -> str:
    """Return all of a record, with what its `repr` leaves out; PostgreSQL knows no NUL in a text."""
    if isinstance(value, list | tuple):
        return repr([_plain(each) for each in value])
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return repr(sorted((key, _plain(each)) for key, each in value.items()))
    return repr(value).replace("\\x00", "\ufffd")
