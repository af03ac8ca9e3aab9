"""Rows inserted together: each statement lets go of the interpreter and has to get it back, from a busy event loop."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

SIZES = (64, 16, 4, 1)
"""Rows in one statement."""


class Insert:
    """An INSERT of any number of rows. `statement` has a place `{rows}` for as many as `row`, which holds one's values.

    SQLite goes through them in their order: rows of one statement may meet in `ON CONFLICT` like those of several.
    """

    def __init__(self, statement: str, row: str) -> None:
        self._statements = {size: statement.format(rows=", ".join([row] * size)) for size in SIZES}

    def __call__(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert the rows with as few statements as there are sizes for; return the number of the last, 0 for none."""
        begin = last = 0
        for size in SIZES:
            while len(rows) - begin >= size:
                end = begin + size
                values = list(chain.from_iterable(rows[begin:end]))
                last = db.execute(self._statements[size], values).lastrowid or 0
                begin = end
        return last
