"""Conditions of a list or a look-up, with their values; the one place where a scope becomes SQL."""

from typing import Any

from storage.records import EVERYWHERE, Scope


class Where:
    """Conditions that all have to hold. They are written with `?`, which becomes `$1`, `$2`, … in their order."""

    def __init__(self, scope: Scope, *, prefix: str = "") -> None:
        self.terms: list[str] = []
        self.values: list[Any] = []
        self.first = 0
        """How many values of the statement come before this clause's."""
        self.equal(f"{prefix}tenant_id", scope.tenant_id)
        self.equal(f"{prefix}environment_id", scope.environment_id)

    def add(self, term: str, *values: Any) -> None:
        """Add a condition with its values."""
        for value in values:
            self.values.append(value)
            term = term.replace("?", f"${len(self.values)}", 1)
        self.terms.append(term)

    def equal(self, column: str, value: Any) -> None:
        """Add `column = value`, unless the value is None."""
        if value is not None:
            self.add(f"{column} = ?", value)

    def beside(self) -> "Where":
        """Return another clause of the same statement: its values follow after those that are there by now."""
        other = Where(EVERYWHERE)
        other.values, other.first = self.values, len(self.values)
        return other

    def join(self, other: "Where") -> None:
        """Add all conditions of a clause of the same statement."""
        self.terms += other.terms

    def with_term(self, term: str) -> str:
        """Return the clause with one more condition, whose placeholders are its own."""
        return " WHERE " + " AND ".join([*self.terms, term])

    def __bool__(self) -> bool:
        """Return whether there is any condition."""
        return bool(self.terms)

    def __str__(self) -> str:
        """Return the clause, empty when there is no condition."""
        return " WHERE " + " AND ".join(self.terms) if self.terms else ""
