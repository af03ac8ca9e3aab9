"""JsonApi, as every connector uses it: reads may be repeated, writes never are, whatever their method."""

import aiohttp
import pytest
from aiohttp import web

from connectors import Host, JsonApi, ProviderError
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
