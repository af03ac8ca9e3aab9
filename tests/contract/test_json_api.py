"""JsonApi, as every connector uses it: reads may be repeated, writes never are, whatever their method."""

import aiohttp
import pytest
from aiohttp import web

from connectors import Host, JsonApi, ProviderError
from connectors.http import retry_after
from connectors.testing import Clock, Fault, FaultKind, Simulator


class Shelf(Simulator):
    """A service that counts what was put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.things = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/things", self._count), *(web.route(method, "/things", self._add) for method in WRITES)]

    async def _count(self, request: web.Request) -> web.Response:
        return web.json_response({"things": self.things})

    async def _add(self, request: web.Request) -> web.Response:
        self.things += 1
        return web.json_response({"id": self.things})


WRITES = ("POST", "PUT", "PATCH", "DELETE")
LOST = (FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE, FaultKind.HALF, FaultKind.FAIL_AFTER)


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("method", WRITES)
async def test_a_write_whose_answer_is_lost_was_sent_once(method: str, kind: FaultKind) -> None:
    """The HTTP client below would repeat PUT and DELETE by itself when a connection is lost under them."""
    async with Shelf() as shelf, aiohttp.ClientSession() as session:
        api = JsonApi(Host(connection="test", session=session, sleep=Clock().sleep), shelf.url)
        await api.get("/things")  # so that the connection is one that was used before
        shelf.faults.add(Fault(kind=kind, route=f"{method} *"))
        with pytest.raises(ProviderError) as lost:
            await api.request(method, "/things", body=b"{}")
        assert lost.value.may_have_written
        assert len(shelf.calls_of(f"{method} *")) == 1


async def test_a_read_that_fails_in_passing_is_sent_again() -> None:
    clock = Clock()
    async with Shelf() as shelf, aiohttp.ClientSession() as session:
        api = JsonApi(Host(connection="test", session=session, sleep=clock.sleep), shelf.url)
        shelf.faults.add(Fault(kind=FaultKind.FAIL_BEFORE))
        assert await api.get("/things") == {"things": 0}
        assert len(shelf.calls_of("GET *")) == 2
        assert clock.slept


SUNDAY, MINUTE_LATER = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT"


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "999999999"}, 86_400.0),
        ({"Retry-After": "9" * 30}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "\u0667"}, None),
        ({"Retry-After": MINUTE_LATER, "Date": SUNDAY}, 60.0),
        ({"Retry-After": SUNDAY, "Date": MINUTE_LATER}, 0.0),
        ({"Retry-After": "Sun, 06 Nov 2094 08:49:37 GMT", "Date": SUNDAY}, 86_400.0),
        ({"Retry-After": MINUTE_LATER}, None),
        ({"Retry-After": MINUTE_LATER, "Date": "today"}, None),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:37", "Date": SUNDAY}, None),
    ],
)
def test_the_time_to_wait_is_read_in_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
