"""What the use-cases return: typed values, the same for API, command line and console; times are aware UTC."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from storage.records import Page

T = TypeVar("T")
S = TypeVar("S")


class View(BaseModel):
    """Base of what is shown. `model_dump(mode="json")` gives times as RFC 3339 with `Z`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class Problem(BaseModel):
    """An error in words: what happened, why, and what to do about it (RFC 9457). Codes are stable."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True, defer_build=True)

    code: str = Field(description="Stable name of the kind of error; docs/errors.md lists all.")
    title: str
    detail: str
    cause: str
    resolution: str


class Listed(View, Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    next_cursor: str | None = Field(
        description="Where the next page begins; null on the last page. A page before it may be short, or empty."
    )


class Bulk(View):
    """What became of a command on many things."""

    matched: int = Field(description="How many the filter found.")
    changed: int = Field(description="How many were changed, or would be in a dry run.")
    skipped: int = Field(description="How many changed their state meanwhile, and were left alone.")
    dry_run: bool
    more: bool = Field(description="Whether there were more than one command takes: repeat it.")


def listed(page: Page[S], view: Callable[[S], T]) -> Listed[T]:
    """Return a page of records as a page of views."""
    return Listed(items=[view(item) for item in page.items], next_cursor=page.next_cursor)


def problem_view(error: Any) -> Problem | None:
    """Return a stored error as it is shown."""
    if not isinstance(error, dict):
        return None
    return Problem.model_validate({**dict.fromkeys(Problem.model_fields, ""), **error})


def seconds(moment: datetime | None) -> str | None:
    """Return a time as write-backs have it: RFC 3339, whole seconds, `Z`."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
