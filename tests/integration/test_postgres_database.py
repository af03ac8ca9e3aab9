"""The database of the PostgreSQL store: durable or refused, ours or left alone, brought up to date by one node."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage import store_for
from storage.errors import SchemaError, StorageError, StoreUnavailableError
from storage.postgres import database, migrate
from storage.postgres.connection import connect
from storage.postgres.store import PostgresStore
from storage.sqlite import migrate as sqlite_migrate
from storage.sqlite.store import SqliteStore
from storage.testing.making import LEASE, T0, make_delivery, make_job, make_link
from tests.postgres_setup import NewDatabase, query, run

pytestmark = pytest.mark.postgres
SCHEMA = """
SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT format('%s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN l.collname <> 'default' THEN ' COLLATE ' || l.collname ELSE '' END,
                  CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                  CASE WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
                       WHEN a.attidentity <> '' THEN ' IDENTITY' ELSE '' END) AS line
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_collation l ON l.oid = a.attcollation AND a.attcollation <> 0
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE n.nspname = 'public' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT format('%s: %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace AND contype = 'c') lines"""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(postgres_url)
    await made.open()
    yield made
    await made.close()


async def opened_and_closed(url: str) -> None:
    made = PostgresStore(url)
    try:
        await made.open()
    finally:
        await made.close()


async def test_every_session_keeps_what_it_commits_whatever_the_database_says(new_database: NewDatabase) -> None:
    url = await new_database()
    name = url.partition("?")[0].rpartition("/")[2]
    await run(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert await query(url, "SHOW synchronous_commit") == "off"
    store = PostgresStore(url)
    await store.open()
    settings = await asyncio.gather(
        *[
            store._db.run(lambda db: db.value("SELECT current_setting('synchronous_commit') FROM pg_sleep(0.02)"))
            for _ in range(database.MAX_CONNECTIONS)
        ]
    )
    assert set(settings) == {"on"}
    assert store._db.door._connection is not None
    assert await store._db.door._connection.fetchval("SHOW synchronous_commit") == "on"
    await store.close()


async def test_a_node_that_stands_still_does_not_hold_up_the_others_for_ever(store: PostgresStore) -> None:
    names = ["idle_in_transaction_session_timeout", "lock_timeout"]
    asked = "SELECT array_agg(current_setting(n)) FROM unnest($1::text[]) n"
    assert await store._db.run(lambda db: db.value(asked, names)) == ["15s", "10s"]


async def test_no_question_waits_for_the_server_to_compile_it(store: PostgresStore) -> None:
    """A chart of a day took the server 12 ms to count and 90 to compile, over millions of deliveries."""
    assert await store._db.run(lambda db: db.value("SHOW jit")) == "off"


async def test_deliveries_that_arrive_together_share_a_transaction(store: PostgresStore, postgres_url: str) -> None:
    """Each transaction that writes takes one number; the question itself takes one too."""
    before = await query(postgres_url, "SELECT pg_current_xact_id()::text::bigint")
    await asyncio.gather(*[store.add_delivery(make_delivery(f"msg_{n}")) for n in range(300)])
    after = await query(postgres_url, "SELECT pg_current_xact_id()::text::bigint")
    assert 1 <= after - before - 1 <= 10
    assert (await store.backlog()).deliveries == 300


async def test_a_claim_finds_room_beside_the_delivery_and_so_writes_no_index(
    store: PostgresStore, postgres_url: str
) -> None:
    """https://www.postgresql.org/docs/current/storage-hot.html."""
    pages = "SELECT array_agg((ctid::text::point)[0] ORDER BY number) FROM deliveries"
    await asyncio.gather(*[store.add_delivery(make_delivery(f"m{n}")) for n in range(200)])
    before = await query(postgres_url, pages)
    assert len(set(before)) > 1
    assert len(await store.claim_deliveries(now=T0, lease=LEASE, limit=200)) == 200
    assert await query(postgres_url, pages) == before


async def test_bodies_are_compressed_by_the_quickest_that_the_server_knows(
    store: PostgresStore, postgres_url: str
) -> None:
    await store.add_delivery(make_delivery("m1", body=b'{"long": "%b"}' % (b"and so on, " * 1000)))
    known = await query(postgres_url, "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    used = await query(postgres_url, "SELECT pg_column_compression(body) FROM bodies")
    assert used == ("lz4" if "lz4" in known else "pglz")


async def test_nodes_that_start_together_make_one_schema(new_database: NewDatabase) -> None:
    url = await new_database(empty=True)
    nodes = [PostgresStore(url) for _ in range(6)]
    await asyncio.gather(*[node.open() for node in nodes])
    await nodes[0].add_job(make_job(), now=T0)
    assert len((await nodes[5].list_jobs()).items) == 1
    assert await query(url, "SELECT count(*) FROM schema_migrations") == len(migrate.migrations())
    await asyncio.gather(*[node.close() for node in nodes])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE users (id int)",
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
        "CREATE TABLE schema_migrations (number bigint, name text, applied_at bigint)",
    ],
)
async def test_somebody_else_s_database_is_left_as_it_is(new_database: NewDatabase, statement: str) -> None:
    url = await new_database(empty=True)
    await run(url, statement)
    before = await query(url, SCHEMA)
    with pytest.raises(SchemaError, match="none of ledgergate"):
        await opened_and_closed(url)
    assert await query(url, SCHEMA) == before


async def test_the_database_of_a_newer_version_is_refused(new_database: NewDatabase) -> None:
    url = await new_database()
    await run(url, "INSERT INTO schema_migrations VALUES (9999, '9999_future.sql', 0)")
    with pytest.raises(SchemaError, match="schema 9999 is newer"):
        await opened_and_closed(url)


async def test_every_earlier_version_becomes_the_same_schema(new_database: NewDatabase) -> None:
    """The schema is the one that was agreed upon; a change is a new migration, and a change of the file beside this."""
    kept = Path(__file__).with_name("postgres_schema.txt").read_text("utf-8")
    for number, _, _ in migrate.migrations():
        url = await new_database(empty=True)
        connection = await connect(url)
        assert await migrate.upgrade(connection, to=number) == [
            name for known, name, _ in migrate.migrations() if known <= number
        ]
        assert await migrate.version(connection) == number
        connection.terminate()
        await opened_and_closed(url)
        assert await query(url, SCHEMA) + "\n" == kept


async def test_a_migration_that_fails_leaves_nothing_behind(new_database: NewDatabase) -> None:
    url = await new_database(empty=True)
    await run(url, "CREATE SCHEMA other", "CREATE TABLE other.blocker ()", "CREATE TYPE jobs AS (x int)")
    with pytest.raises(StoreUnavailableError):
        await opened_and_closed(url)
    assert await query(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


async def test_both_backends_have_the_same_migrations_tables_and_columns(postgres_url: str, tmp_path: Path) -> None:
    """What one store has written, `db copy` writes into the other."""
    ours, theirs = migrate.migrations(), sqlite_migrate.migrations()
    assert [(number, name) for number, name, _ in ours] == [(number, name) for number, name, _ in theirs]
    beside = SqliteStore(tmp_path / "store.db")
    await beside.open()
    await beside.close()
    with sqlite3.connect(beside.path) as db:
        expected = db.execute(
            "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        ).fetchall()
    db.close()
    columns = "SELECT array_agg(table_name || '.' || column_name) FROM information_schema.columns"
    assert sorted(await query(postgres_url, f"{columns} WHERE table_schema = 'public'")) == sorted(
        row[0] for row in expected
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gate:hunter2@[bad",
        "postgresql://gate:hunter2@localhost:notaport/x",
        "postgres://gate:hunter2@localhost/x?sslmode=odd",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        await opened_and_closed(url)
    assert "hunter2" not in repr(caught.value) + str(caught.value)


async def test_a_server_that_is_not_there_is_unavailable_and_its_password_untold(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        await opened_and_closed(f"postgresql://gate:hunter2@/x?host={tmp_path}")
    assert "hunter2" not in repr(caught.value) + str(caught.value)


async def test_an_error_tells_nothing_of_what_it_was_about(store: PostgresStore) -> None:
    """The server's own texts hold the values; those of errors go to logs and answers."""
    job = make_job("cust_secret", payload={"name": "Ada Lovelace"})
    await store.add_job(job, now=T0)
    with pytest.raises(StorageError, match="jobs_job_id_key") as caught:
        await store.add_job(job, now=T0)
    with pytest.raises(StorageError) as unstorable:
        await store.put_meta("half", "Ada \ud800")
    for error in (caught.value, unstorable.value):
        told = repr(error) + str(error)
        assert job.job_id not in told
        assert "Ada" not in told


class _Clock:
    """A server whose clock says something else."""

    def __init__(self, apart: float) -> None:
        self._apart = apart

    async def fetchval(self, _query: str) -> float:
        return time.time() + self._apart


@pytest.mark.parametrize("apart", [-60, -7, 7, 3600])
async def test_a_node_whose_clock_is_off_is_refused(apart: float) -> None:
    with pytest.raises(StorageError, match="clock"):
        await database._assert_same_time(_Clock(apart))  # type: ignore[arg-type]
    await database._assert_same_time(_Clock(1))  # type: ignore[arg-type]


async def test_a_backup_names_the_tool(store: PostgresStore, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="pg_dump"):
        await store.backup(tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


async def test_the_store_of_a_url_is_the_one_of_its_database(postgres_url: str) -> None:
    store = store_for(postgres_url)
    await store.open()
    await store.put_mapping(make_link(), now=T0)
    await store.close()
    assert await query(postgres_url, "SELECT count(*) FROM mappings") == 1


async def test_a_session_goes_back_to_the_pool_as_it_came(store: PostgresStore) -> None:
    """Nothing resets it there, so nothing may be left in it: no transaction, no setting, no lock."""
    with pytest.raises(ZeroDivisionError):
        await store._db.write(_fails)
    assert await store._db.run(lambda db: db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0
    assert await store.get_meta("half") is None


async def _fails(db: Any) -> float:
    await db.execute("INSERT INTO meta VALUES ('half', 'done')")
    return 1 / 0
