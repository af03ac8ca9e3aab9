"""A customer that can be created at Nomod, and when that was begun."""

from datetime import UTC, datetime
from typing import Any

from connectors import Customer

STARTED = datetime(2026, 1, 20, 10, 30, 0, 123456, tzinfo=UTC)


def customer(**fields: Any) -> Customer:
    """A customer that can be created, with these fields instead."""
    known: dict[str, Any] = {"name": "Mona Salem", "email": "mona@example.com"}
    ids = {"source": "flexprice-prod", "platform": "flexprice", "environment_id": "prod", "customer_id": "cust_1"}
    return Customer(**{**ids, **known, **fields})
