"""The customers that deliveries have spoken of: seen, found by id, listed."""

from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.limits import LONG_AS_AN_ID
from storage.postgres.connection import Session, columns
from storage.postgres.database import Database
from storage.postgres.where import Where
from storage.records import EVERYWHERE, Page, Scope, SeenCustomer

_SEE = """
INSERT INTO customers (source, customer_id, tenant_id, environment_id, name, email, seen_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
ON CONFLICT (source, customer_id) DO UPDATE SET
    name = CASE excluded.name WHEN '' THEN customers.name ELSE excluded.name END,
    email = CASE excluded.email WHEN '' THEN customers.email ELSE excluded.email END, seen_at = excluded.seen_at"""


async def see_customers(db: Session, seen: Sequence[SeenCustomer], now: datetime) -> None:
    """Remember that customers were seen; a name or e-mail that is known is not overwritten by nothing."""
    # Each once, and in one order for all nodes, so that two never wait for each other.
    last = {(customer.source, customer.customer_id): customer for customer in seen}
    if last:
        await db.execute(_SEE, *columns([values.customer(last[key], now=now) for key in sorted(last)], 7))


class Customers:
    """The part of the store that deals with customers seen."""

    _db: Database

    async def find_customers(self, customer_id: str, scope: Scope = EVERYWHERE) -> Sequence[SeenCustomer]:
        """Return the customers with this id which any source of the scope has spoken of."""
        where = Where(scope)
        where.add("customer_id = ?", customer_id)
        query = f"SELECT * FROM customers{where} ORDER BY source"
        found = await self._db.run(lambda db: db.rows(query, *where.values))
        return [rows.seen_customer(row) for row in found]

    async def list_customers(
        self, scope: Scope = EVERYWHERE, *, limit: int = 50, cursor: str | None = None, text: str | None = None
    ) -> Page[SeenCustomer]:
        """Return customers seen; `text` is part of a name, e-mail address or id.

        A text as long as only an id is (LONG_AS_AN_ID) and which is one is looked up, and nothing else is looked for.
        """
        known = text is not None and len(text) >= LONG_AS_AN_ID and bool(await self.find_customers(text, scope))
        where = Where(scope)
        if known:
            where.add("customer_id = ?", text)
        elif text:
            pattern = cursors.like(text)
            where.add(
                "(name ILIKE ? ESCAPE '!' OR email ILIKE ? ESCAPE '!' OR customer_id ILIKE ? ESCAPE '!')",
                *[pattern] * 3,
            )
        if cursor is not None:
            where.add("(source, customer_id) > (?, ?)", *cursors.decode(cursor, 2))
        query = f"SELECT * FROM customers{where} ORDER BY source, customer_id LIMIT {cursors.bounded(limit) + 1:d}"
        found = await self._db.run(lambda db: db.rows(query, *where.values))
        return cursors.page(found, limit, rows.seen_customer, "source", "customer_id")
