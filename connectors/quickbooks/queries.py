"""Statements of QuickBooks' query language: built and escaped so that no customer's data can break or widen one.

https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/data-queries
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from connectors.errors import LookupImpossibleError

MOST_ROWS = 1000
EITHER_ACTIVE = "Active in (true, false)"
"""Without it, inactive records are hidden."""

_BEYOND_LATIN1 = re.compile(r"[^\x00-\xff]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_writable(text: str) -> bool:
    """Whether a text can stand in a statement: letters beyond U+00FF end in error 4000, quoted or not."""
    return not _BEYOND_LATIN1.search(text) and not _CONTROLS.search(text)


def literal(text: str) -> str:
    r"""Quote a value: `\` first, then `'`. Raises LookupImpossibleError for what the language cannot write.

    Doubling the quote, as in SQL, is wrong here; a value that ends in a bare backslash would eat the closing quote.
    """
    if not is_writable(text):
        raise LookupImpossibleError("the value has characters that QuickBooks' query language cannot hold")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def equal(name: str, value: str) -> str:
    """Return the condition that a property equals a value; QuickBooks ignores case."""
    return f"{name} = {literal(value)}"


def one_of(name: str, values: Iterable[str]) -> str:
    """Return the condition that a property equals one of the values."""
    return f"{name} in ({', '.join(literal(value) for value in values)})"


def like(name: str, pattern: str) -> str:
    """Return the condition that a property matches a pattern, in which `%` stands for any text."""
    return f"{name} like {literal(pattern)}"


def since(name: str, moment: datetime) -> str:
    """Return the condition that a time is not before a moment. Raises ValueError for a naive moment."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone means nothing to QuickBooks")
    return f"{name} >= '{moment.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}'"


def pattern_of(text: str) -> str:
    """Return a LIKE pattern that a text matches, with `%` for what cannot be written; others may match it too.

    A `%` in the text cannot be escaped, and matches itself among others. The rows must be compared by the caller.
    """
    return _CONTROLS.sub("%", _BEYOND_LATIN1.sub("%", text))


def strength(pattern: str) -> int:
    """Return how many letters and digits a pattern insists on: with few it finds half the company."""
    return sum(character.isalnum() for character in pattern)


def select(
    entity: str, *conditions: str, columns: str = "*", order: str = "Id", start: int = 1, rows: int = MOST_ROWS
) -> str:
    """Return a statement for one page of records. Rows have no stable order unless one is asked for."""
    # Nothing of a customer gets here but through `literal`.
    where = f" where {' and '.join(conditions)}" if conditions else ""
    page = f"orderby {order} startposition {start} maxresults {rows}"
    return f"select {columns} from {entity}{where} {page}"  # noqa: S608 - see above
