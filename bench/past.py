"""Rows of years past, made by the database itself: ended deliveries, jobs, attempts, linked customers. For both stores.

A year of webhooks: one delivery in five is a finalized invoice and has brought a job, a customer's first job another
one that wrote the link back, and the rest was not ours to act on. Bodies are kept for the last quarter, as by default.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.deliveries import invoice_body
from storage.scalars import micros
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0

CHUNK = 200_000
"""Rows of one statement, which is a transaction."""
SECOND = 1_000_000
YEAR = 365 * 86_400 * SECOND
SOURCES = 8
EACH_JOB = 5
"""One delivery in so many brings a job."""
KEPT = 4
"""The last one of so many deliveries have their bodies."""
RARE = 20
"""So many of the oldest deliveries are of a type, and jobs of a connection, that came never again."""
BODIES = 64
HEADERS = (
    b'[["Host","hooks.example.com"],["User-Agent","Svix-Webhooks/1.81.0"],["Content-Type","application/json"],'
    b'["svix-id","msg_2f8Qe7mVwJ0cVxZkq1d9yT4b3aN"],["svix-timestamp","1764331200"],'
    b'["svix-signature","v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],["Content-Length","1905"]]'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a database counts, and how it writes bytes."""

    insert: str
    """A statement with places for table, columns, values, and the first and last of the numbers `i`."""
    binary: Callable[[bytes], str]
    blob: str


SQLITE = Dialect(
    insert="WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
    "INSERT INTO {table} ({columns}) SELECT {values} FROM n",
    binary=lambda data: f"X'{data.hex()}'",
    blob="BLOB",
)
POSTGRES = Dialect(
    insert="INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series({first}::bigint, {last}) AS n (i)",
    binary=lambda data: f"'\\x{data.hex()}'::bytea",
    blob="BYTEA",
)


def customer(number: int) -> str:
    """Return a customer's id."""
    return f"cust_01J9ZKX{_LONG + number}"


def source(number: int) -> str:
    """Return the source, and the tenant, that a customer belongs to."""
    return f"billing-{number % SOURCES}"


def invoice(number: int) -> str:
    """Return the id of the invoice that a delivery is about."""
    return f"inv_01J9ZKX{_LONG + number}"


def delivery_id(number: int) -> str:
    """Return a delivery's id."""
    return f"dlv_0199{100_000_000_000 + number}{_scattered(number)}7c41"


def delivery_key(number: int) -> str:
    """Return the id under which a delivery's sender has sent it."""
    return f"msg_{_scattered(number)}Xk9vQ2mB7tR"


def delivered_to(number: int, customers: int) -> str:
    """Return the source to which a delivery came."""
    return source(number // EACH_JOB % customers)


def _scattered(number: int) -> int:
    return 100_000_000_000 + number * 48_271 % 2_147_483_647


_LONG = 10**18
_SCATTERED = "(100000000000 + ({of} * 48271) % 2147483647)"
"""The same number for the same, and each another (the modulus is a prime), in no order."""
_DELIVERY = f"'dlv_0199' || (100000000000 + {{of}}) || {_SCATTERED} || '7c41'"


def statements(deliveries: int, customers: int, dialect: Dialect) -> Iterator[str]:
    """Yield what makes the past, a transaction each. `i` is a delivery's number, a job's or a customer's."""
    chance = random.Random(1)
    yield f"CREATE TEMPORARY TABLE forms (place BIGINT PRIMARY KEY, body {dialect.blob})"
    for place in range(BODIES):
        yield f"INSERT INTO forms VALUES ({place}, {dialect.binary(invoice_body(place, chance))})"  # noqa: S608 - our own
    jobs = deliveries // EACH_JOB
    for table, columns, first, last in (
        ("customers", _customers(), 0, customers - 1),
        ("mappings", _mappings(), 0, customers - 1),
        ("deliveries", _deliveries(deliveries, customers), 1, deliveries),
        ("bodies", _bodies(dialect), deliveries - deliveries // KEPT + 1, deliveries),
        ("jobs", _jobs(deliveries, customers, "ensure_customer"), 0, jobs - 1),
        ("jobs", _jobs(deliveries, customers, "write_back"), 0, min(customers, jobs) - 1),
        ("attempts", _attempts(deliveries, customers, "ensure_customer"), 0, jobs - 1),
        ("attempts", _attempts(deliveries, customers, "write_back"), 0, min(customers, jobs) - 1),
    ):
        for begin in range(first, last + 1, CHUNK):
            yield dialect.insert.format(
                table=table, columns=", ".join(columns), values=", ".join(columns.values()), first=begin,
                last=min(begin + CHUNK - 1, last),
            )  # fmt: skip


def fill_sqlite(path: Path, deliveries: int, customers: int) -> None:
    """Write the past into a store's file that nobody has open. None of it needs to survive: there is no journal."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -2000000"):
        db.execute(f"PRAGMA {pragma}")
    for statement in statements(deliveries, customers, SQLITE):
        db.execute(statement)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()


async def fill_postgres(connection: Any, deliveries: int, customers: int) -> None:
    """Write the past into a store's tables."""
    await connection.execute("SET synchronous_commit = off")
    for statement in statements(deliveries, customers, POSTGRES):
        await connection.execute(statement)
    await connection.execute("SELECT setval(pg_get_serial_sequence('deliveries', 'number'), $1)", deliveries)
    await connection.execute("VACUUM ANALYZE")


async def make_sqlite(path: Path) -> None:
    """Make the tables."""
    store = SqliteStore(path)
    await store.open()
    await store.close()


def _text(*parts: str) -> str:
    return " || ".join(parts)


def _at(of: str, deliveries: int) -> str:
    return f"({micros(T0) - YEAR} + {of} * {YEAR // deliveries})"


def _place(of: str) -> dict[str, str]:
    """Return the columns of a customer's tenant."""
    name = f"'billing-' || ({of} % {SOURCES})"
    return {"source": name, "tenant_id": name, "environment_id": "'prod'"}


def _customers() -> dict[str, str]:
    return {
        **_place("i"), "customer_id": f"'cust_01J9ZKX' || ({_LONG} + i)", "name": "'Customer ' || i",
        "email": "'billing+' || i || '@example.com'", "seen_at": str(micros(T0) - YEAR),
    }  # fmt: skip


def _mappings() -> dict[str, str]:
    at = str(micros(T0) - YEAR)
    return {
        **_place("i"), "entity_type": "'customer'", "entity_id": f"'cust_01J9ZKX' || ({_LONG} + i)",
        "connection": "'nomod'", "connector": "'nomod'", "status": "'linked'", "origin": "'created'",
        "provider_entity_id": f"'6f1c2f9a-4d4e-4b8e-' || {_SCATTERED.format(of='i')}", "why": "'nobody had it'",
        "synced_at": at, "written_back_at": at, "created_at": at, "updated_at": at,
    }  # fmt: skip


def _deliveries(deliveries: int, customers: int) -> dict[str, str]:
    of = f"(i / {EACH_JOB} % {customers})"
    kinds = ("invoice.created", "invoice.update.payment", "customer.updated", "subscription.updated")
    told = " ".join(f"WHEN {place} THEN '{kind}'" for place, kind in enumerate(kinds, 1))
    final = f"i % {EACH_JOB} = 0"
    return {
        **_place(of), "number": "i", "delivery_id": _DELIVERY.format(of="i"),
        "delivery_key": f"'msg_' || {_SCATTERED.format(of='i')} || 'Xk9vQ2mB7tR'", "received_at": _at("i", deliveries),
        "scheme": "'standard-webhooks'", "secret_index": "0", "body_bytes": "1905",
        "status": f"CASE WHEN {final} THEN 'processed' ELSE 'ignored' END", "dispatched": "1",
        "event_type": f"CASE WHEN i <= {RARE} THEN 'invoice.voided' ELSE CASE i % {EACH_JOB} {told} "
                      "ELSE 'invoice.update.finalized' END END",
        "entity_id": f"'cust_01J9ZKX' || ({_LONG} + {of})", "subject": f"'inv_01J9ZKX' || ({_LONG} + i)",
        "reason": f"CASE WHEN {final} THEN NULL ELSE 'not a trigger' END",
    }  # fmt: skip


def _bodies(dialect: Dialect) -> dict[str, str]:
    return {
        "number": "i", "headers": dialect.binary(HEADERS),
        "body": f"(SELECT body FROM forms WHERE place = i % {BODIES})",  # noqa: S608 - our own
    }  # fmt: skip


def _job_id(kind: str) -> str:
    return f"'job_{kind[0]}199' || (100000000000 + i) || {_SCATTERED.format(of='i')} || '3b0d'"


def _jobs(deliveries: int, customers: int, kind: str) -> dict[str, str]:
    of, at = f"(i % {customers})", _at(f"((i + 1) * {EACH_JOB})", deliveries)
    who = f"'cust_01J9ZKX' || ({_LONG} + {of})"
    where = f"CASE WHEN i < {RARE} THEN 'qbo' ELSE 'nomod' END"
    return {
        **_place(of), "job_id": _job_id(kind), "kind": f"'{kind}'", "gate": where, "connection": where,
        "lock_key": _text(f"'{kind}:nomod:'", who), "delivery_id": _DELIVERY.format(of=f"((i + 1) * {EACH_JOB})"),
        "entity_type": "'customer'", "entity_id": who, "subject": f"'inv_01J9ZKX' || ({_LONG} + (i + 1) * {EACH_JOB})",
        "payload": """'{"trigger":"invoice_finalized"}'""", "dispatch": "0", "status": "'succeeded'",
        "outcome": "'done'", "attempts": "1", "fence": "1", "created_at": at, "updated_at": at,
    }  # fmt: skip


def _attempts(deliveries: int, customers: int, kind: str) -> dict[str, str]:
    at = _at(f"((i + 1) * {EACH_JOB})", deliveries)
    asked = '{"method":"GET","milliseconds":41.2,"status":200,"request_id":null,"error":null,"url":"https://us.api'
    exchanges = _text(
        f"'[{asked}.flexprice.io/v1/invoices/inv_01J9ZKX' || ({_LONG} + i)",
        f"""'"}},{asked}.flexprice.io/v1/customers/cust_01J9ZKX' || ({_LONG} + i % {customers})""", """'"}]'""",
    )  # fmt: skip
    return {
        "job_id": _job_id(kind), "number": "1", "started_at": at, "finished_at": f"{at} + {SECOND}",
        "outcome": "'done'", "exchanges": exchanges, "decision": """'{"decision":"linked","origin":"created"}'""",
        "worker": "'gateway-1:4242:a1b2c3'",
    }  # fmt: skip
