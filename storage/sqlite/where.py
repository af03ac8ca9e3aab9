"""Conditions of a list or a look-up, with their values; the one place where a scope becomes SQL."""

from typing import Any

from storage.records import EVERYWHERE, Scope


class Where:
    """Conditions that all have to hold.

    `narrowed` says that another condition is narrower than the scope. SQLite has no statistics here and would take
    the index on tenant and environment; the plus keeps a column out of its choice
    (https://www.sqlite.org/optoverview.html#disqualifying_where_clauseterms_using_unary_).
    """

    def __init__(self, scope: Scope = EVERYWHERE, *, narrowed: bool = False) -> None:
        self.terms: list[str] = []
        self.values: list[Any] = []
        plus = "+" if narrowed else ""
        self.equal(f"{plus}tenant_id", scope.tenant_id)
        self.equal(f"{plus}environment_id", scope.environment_id)

    def add(self, term: str, *values: Any) -> None:
        """Add a condition with its values."""
        self.terms.append(term)
        self.values.extend(values)

    def equal(self, column: str, value: Any) -> None:
        """Add `column = value`, unless the value is None."""
        if value is not None:
            self.add(f"{column} = ?", value)

    def join(self, other: "Where") -> None:
        """Add all conditions of another clause."""
        self.terms += other.terms
        self.values += other.values

    def having(self, term: str) -> str:
        """Return the clause with one more condition, whose values come after all others."""
        return " WHERE " + " AND ".join([*self.terms, term])

    def __bool__(self) -> bool:
        """Return whether there is any condition."""
        return bool(self.terms)

    def __str__(self) -> str:
        """Return the clause, empty when there is no condition."""
        return " WHERE " + " AND ".join(self.terms) if self.terms else ""
