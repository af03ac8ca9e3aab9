"""Rows of years past: ended deliveries with bodies, their jobs and attempts, linked customers. For both stores."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from bench.deliveries import invoice_body
from storage.scalars import micros
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0

Rows = Sequence[tuple[Any, ...]]
CHUNK = 20_000
SECOND = 1_000_000
YEAR = 365 * 86_400 * SECOND
SOURCES = 8
HEADERS = b'[["content-type","application/json"],["svix-id","msg_2f"],["svix-timestamp","1764331200"]]'
COLUMNS = {
    "deliveries": "number delivery_id source tenant_id environment_id delivery_key received_at scheme secret_index "
    "body_bytes status dispatched event_type entity_id subject",
    "bodies": "number headers body",
    "jobs": "job_id kind source tenant_id environment_id gate lock_key delivery_id connection entity_type entity_id "
    "subject payload dispatch status outcome attempts fence next_attempt_at created_at updated_at",
    "attempts": "job_id number started_at finished_at outcome exchanges decision worker",
    "mappings": "source entity_type entity_id connection connector tenant_id environment_id provider_entity_id status "
    "origin why synced_at written_back_at created_at updated_at",
    "customers": "source customer_id tenant_id environment_id name email seen_at",
}


def customer(number: int) -> str:
    """Return a customer's id."""
    return f"cust_{number:026X}"


def source(number: int) -> str:
    """Return the source that a customer belongs to."""
    return f"billing-{number % SOURCES}"


def delivery_id(number: int) -> str:
    """Return a delivery's id: as ours are, in the order of time, with a part that cannot be guessed."""
    return f"dlv_{number:012x}{random.Random(number).randrange(1 << 80):020x}"


def past(deliveries: int, customers: int) -> Iterator[tuple[str, Rows]]:
    """Yield rows by table, many at a time; each delivery has ended with one job, a customer's first with two."""
    chance = random.Random(1)
    bodies = [invoice_body(n, chance) for n in range(64)]
    for first in range(0, customers, CHUNK):
        numbers = range(first, min(first + CHUNK, customers))
        yield "customers", [_customer(n) for n in numbers]
        yield "mappings", [_mapping(n) for n in numbers]
    for first in range(0, deliveries, CHUNK):
        numbers = range(first, min(first + CHUNK, deliveries))
        yield "deliveries", [_delivery(n, deliveries, customers, len(bodies[n % 64])) for n in numbers]
        yield "bodies", [(n + 1, HEADERS, bodies[n % 64]) for n in numbers]
        jobs = [_job(n, kind, deliveries, customers) for n in numbers for kind in _kinds(n, customers)]
        yield "jobs", jobs
        yield "attempts", [_attempt(job) for job in jobs]


def fill_sqlite(path: Path, deliveries: int, customers: int) -> None:
    """Write the past into an opened SQLite store's file. Nothing of it needs to survive: it is not synced."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    for table, rows in past(deliveries, customers):
        columns = COLUMNS[table].split()
        places = ", ".join("?" * len(columns))
        db.execute("BEGIN")
        db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)  # noqa: S608 - our own names
        db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


async def fill_postgres(connection: Any, deliveries: int, customers: int) -> None:
    """Write the past into a PostgreSQL store's tables."""
    for table, rows in past(deliveries, customers):
        await connection.copy_records_to_table(table, records=rows, columns=COLUMNS[table].split())
    await connection.execute("SELECT setval(pg_get_serial_sequence('deliveries', 'number'), $1)", deliveries)
    await connection.execute("VACUUM ANALYZE")


async def make_sqlite(path: Path) -> None:
    """Make the tables."""
    store = SqliteStore(path)
    await store.open()
    await store.close()


def _at(number: int, deliveries: int) -> int:
    return micros(T0) - YEAR + number * YEAR // deliveries


def _kinds(number: int, customers: int) -> tuple[str, ...]:
    return ("ensure_customer", "write_back") if number < customers else ("ensure_customer",)


def _delivery(number: int, deliveries: int, customers: int, size: int) -> tuple[Any, ...]:
    name = source(number % customers)
    return (
        number + 1, delivery_id(number), name, name, "prod", f"msg_{random.Random(~number).randrange(1 << 96):024x}",
        _at(number, deliveries), "standard-webhooks", 0, size, "processed", 1, "invoice.update.finalized",
        customer(number % customers), f"inv_{number:026X}",
    )  # fmt: skip


def _job(number: int, kind: str, deliveries: int, customers: int) -> tuple[Any, ...]:
    name, of, at = source(number % customers), customer(number % customers), _at(number, deliveries) + SECOND
    return (
        f"job_{kind[0]}{number:011x}{random.Random(number).randrange(1 << 80):020x}", kind, name, name, "prod", "nomod",
        f"{kind}:nomod:{of}", delivery_id(number), "nomod", "customer", of, f"inv_{number:026X}",
        '{"trigger":"invoice_finalized"}', 0, "succeeded", "done", 1, 1, None, at, at,
    )  # fmt: skip


def _attempt(job: tuple[Any, ...]) -> tuple[Any, ...]:
    exchanges = [
        {"method": "GET", "url": f"https://us.api.flexprice.io/v1/invoices/{job[11]}", "status": 200,
         "milliseconds": 41.2, "request_id": None, "error": None},
        {"method": "GET", "url": f"https://us.api.flexprice.io/v1/customers/{job[10]}", "status": 200,
         "milliseconds": 39.9, "request_id": None, "error": None},
    ]  # fmt: skip
    decision = {"decision": "linked", "record": job[10]}
    return (
        job[0], 1, job[-1], job[-1] + SECOND, "done", orjson.dumps(exchanges).decode(), orjson.dumps(decision).decode(),
        "gateway-1:4242:a1b2c3",
    )  # fmt: skip


def _mapping(number: int) -> tuple[Any, ...]:
    at, name = micros(T0) - YEAR, source(number)
    return (
        name, "customer", customer(number), "nomod", "nomod", name, "prod",
        f"{random.Random(number).randrange(1 << 128):032x}", "linked", "created", "nobody had it", at, at, at, at,
    )  # fmt: skip


def _customer(number: int) -> tuple[Any, ...]:
    name = source(number)
    return (
        name, customer(number), name, "prod", f"Customer {number}", f"billing+{number}@example.com",
        micros(T0) - YEAR,
    )  # fmt: skip
