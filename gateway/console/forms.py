"""What a browser posts: read within bounds, as text; nothing else than plain forms is taken."""

import asyncio
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.errors import PayloadTooLargeError, RequestInvalidError

MAX_FORM_BYTES = 128 * 1024
MAX_FIELDS = 2000
READ_SECONDS = 10.0
FORM_TYPE = "application/x-www-form-urlencoded"
TOKEN_FIELD = "_token"  # noqa: S105 - a field's name


class Form(Mapping[str, str]):
    """The fields of a form; the last value counts where one stands twice, `all` has every one. No `repr` of values."""

    def __init__(self, pairs: list[tuple[str, str]] | None = None) -> None:
        self._pairs = pairs or []
        self._last = dict(self._pairs)

    def __getitem__(self, name: str) -> str:
        """Return a field's value, with a plain newline at each line's end."""
        return self._last[name].replace("\r\n", "\n")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._last)

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._last)

    def text(self, name: str, default: str = "") -> str:
        """Return a field without blanks around it."""
        return self.get(name, default).strip()

    def optional(self, name: str) -> str | None:
        """Return a field, None when it is empty."""
        return self.text(name) or None

    def ticked(self, name: str) -> bool:
        """Whether a box is ticked."""
        return bool(self.get(name))

    def all(self, name: str) -> list[str]:
        """Return every value of a field, such as the rows that were ticked."""
        return [value for key, value in self._pairs if key == name]


async def read_form(request: web.Request) -> Form:
    """Return the fields. Raises RequestInvalidError, PayloadTooLargeError."""
    if request.content_type != FORM_TYPE and request.can_read_body:
        msg = "only plain forms are taken here"
        raise RequestInvalidError(msg)
    if (request.content_length or 0) > MAX_FORM_BYTES:
        raise PayloadTooLargeError
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            while part := await request.content.readany():
                size += len(part)
                if size > MAX_FORM_BYTES:
                    raise PayloadTooLargeError
                parts.append(part)
    except (TimeoutError, web.RequestPayloadError) as error:
        msg = "the form was cut, or did not arrive in time"
        raise RequestInvalidError(msg) from error
    try:
        pairs = parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        msg = "the form is not readable"
        raise RequestInvalidError(msg) from error
    return Form(pairs)
