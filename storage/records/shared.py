"""What records of every kind use: JSON, the scope of a question, the pages of an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Json = Any
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Tenant and environment that a read or change is confined to. None means any: for the gateway itself only."""

    tenant_id: str | None = None
    environment_id: str | None = None


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, newest first, and where the next begins."""

    items: Sequence[T]
    next_cursor: str | None
