"""What a row of a result is to all backends: whatever gives a column's value by its name."""

from typing import Any, Protocol


class Row(Protocol):
    """A row of a result."""

    def __getitem__(self, column: str, /) -> Any:
        """Return a column's value."""
