"""How the bytes of a write leave: once, and only in time."""

from collections.abc import Callable
from contextvars import ContextVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

IN_TIME: ContextVar[Callable[[], bool] | None] = ContextVar("in_time", default=None)
"""Asked right before the first byte of a write: where it says no, nothing is sent (UnreachableError).

The gateway sets it around a create: a process that was stopped after it had made up its mind may be too late, since
another has taken over, has looked, and has proven that nothing was sent.
"""


class TimelyBody(BytesPayload):
    """A body that asks once more before it is sent. aiohttp keeps the headers back until then."""

    def __init__(self, value: bytes, in_time: Callable[[], bool]) -> None:
        super().__init__(value)
        self._in_time = in_time
        self.held_back = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the body, and with it the headers; raises OSError instead where it is too late."""
        if not self._in_time():
            self.held_back = True
            raise OSError("too late")
        await super().write_with_length(writer, content_length)


class LostConnectionError(aiohttp.ClientError):
    """The connection was lost after a write had begun."""


async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a write once: aiohttp by itself repeats PUT and DELETE when a connection is lost under them.

    https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2 allows that, and some services create with PUT all the same.
    """
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise  # nothing was sent, and nothing is repeated
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise LostConnectionError(type(error).__name__) from error
