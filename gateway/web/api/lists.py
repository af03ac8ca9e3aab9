"""What all lists take: how many, from where, and since when."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from gateway.errors import RequestInvalidError
from gateway.operations.times import bounded
from gateway.operations.values import Text

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000
_TIMES = TypeAdapter(datetime)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _read(value: Any) -> Any:
    """Return the time that a text says; a number, which pydantic would take for seconds, is refused."""
    if value is None or (isinstance(value, str) and _DATE.match(value)):
        return None if value is None else _TIMES.validate_strings(value)
    msg = "must be a time as in RFC 3339, such as 2026-01-20T10:30:00Z"
    raise ValueError(msg)


Moment = Annotated[datetime, BeforeValidator(_read, json_schema_input_type=datetime), AfterValidator(bounded)]
Cursor = Annotated[str, Field(min_length=1, max_length=2000)]


class Given(BaseModel):
    """Base of what a caller sends: unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class ListQuery(Given):
    """One page of a list."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many at most.")
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before.")


class SpanQuery(ListQuery):
    """A list over time."""

    since: Moment | None = Field(None, description="Nothing earlier than this.")
    until: Moment | None = Field(None, description="Only what is earlier than this.")


class TimedQuery(SpanQuery):
    """A list over time, in which a text can be searched for."""

    text: Text | None = Field(
        None,
        description="An id (of the delivery, job, invoice, customer or the provider's record), or part of the"
        " customer's name or e-mail address.",
    )


def require_choice(*, is_empty: bool, everything: bool) -> None:
    """Refuse a command on all that there is, unless it says so. Raises RequestInvalidError."""
    if is_empty and not everything:
        raise RequestInvalidError("body: give a filter, or all = true")
