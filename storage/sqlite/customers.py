"""The customers that deliveries have spoken of: seen, found by id, listed."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.limits import LONG_AS_AN_ID
from storage.records import EVERYWHERE, Page, Scope, SeenCustomer
from storage.sqlite.database import Database
from storage.sqlite.together import Insert
from storage.sqlite.where import Where

_SEE = """
INSERT INTO customers (source, customer_id, tenant_id, environment_id, name, email, seen_at)
VALUES {rows}
ON CONFLICT (source, customer_id) DO UPDATE SET
    name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END,
    email = CASE excluded.email WHEN '' THEN email ELSE excluded.email END, seen_at = excluded.seen_at"""
_see = Insert(_SEE, "(?, ?, ?, ?, ?, ?, ?)")


def see_customers(db: sqlite3.Connection, seen: Sequence[SeenCustomer], now: datetime) -> None:
    """Remember that customers were seen; a name or e-mail that is known is not overwritten by nothing."""
    _see(db, [values.customer(customer, now=now) for customer in seen])


class Customers:
    """The part of the store that deals with customers seen."""

    _db: Database

    async def find_customers(self, customer_id: str, scope: Scope = EVERYWHERE) -> Sequence[SeenCustomer]:
        """Return the customers with this id which any source of the scope has spoken of."""
        where = Where(scope, narrowed=True)
        where.add("customer_id = ?", customer_id)
        query = f"SELECT * FROM customers{where} ORDER BY source"
        return await self._db.read(lambda db: [rows.seen_customer(row) for row in db.execute(query, where.values)])

    async def list_customers(
        self, scope: Scope = EVERYWHERE, *, limit: int = 50, cursor: str | None = None, text: str | None = None
    ) -> Page[SeenCustomer]:
        """Return customers seen; `text` is part of a name, e-mail address or id.

        A text as long as only an id is (LONG_AS_AN_ID) and which is one is looked up, and nothing else is looked for.
        """
        known = text is not None and len(text) >= LONG_AS_AN_ID and bool(await self.find_customers(text, scope))
        where = Where(scope, narrowed=known)
        if known:
            where.add("customer_id = ?", text)
        elif text:
            pattern = cursors.like(text)
            where.add(
                "(name LIKE ? ESCAPE '!' OR email LIKE ? ESCAPE '!' OR customer_id LIKE ? ESCAPE '!')", *[pattern] * 3
            )
        if cursor is not None:
            where.add("(source, customer_id) > (?, ?)", *cursors.decode(cursor, 2))
        query = f"SELECT * FROM customers{where} ORDER BY source, customer_id LIMIT ?"
        bound = [*where.values, cursors.bounded(limit) + 1]
        found = await self._db.read(lambda db: db.execute(query, bound).fetchall(), slow=True)
        return cursors.page(found, limit, rows.seen_customer, "source", "customer_id")
