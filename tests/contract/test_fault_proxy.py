"""The proxy of the conformance kit: it passes on what it does not spoil, hides new records, and takes filters away."""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from connectors.testing import Asked, Clock, Fault, FaultKind, Simulator
from connectors.testing.engine import load_engine
from connectors.testing.harness import plain_refusal
from connectors.testing.proxy import MARK, FaultProxy
from gateway.conformance import EnsureEngine


class Shelf(Simulator):
    """Things that can be put there and listed; it tells what it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.things: dict[str, str] = {"1": "old"}

    def routes(self) -> Iterable[web.RouteDef]:
        return [
            web.get("/things", self._list),
            web.post("/things", self._add),
            web.route("*", "/echo/{rest:.*}", self._echo),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("name")
        rows = [{"Id": int(key), "name": name} for key, name in self.things.items() if wanted in {None, name}]
        return web.json_response(
            {"count": len(rows), "page_size": 50, "rows": rows, "first": rows[0] if rows else None}
        )

    async def _add(self, request: web.Request) -> web.Response:
        key = str(len(self.things) + 1)
        self.things[key] = (await request.json())["name"]
        return web.json_response({"Id": int(key), "name": self.things[key]}, status=201)

    async def _echo(self, request: web.Request) -> web.Response:
        told = {
            "method": request.method, "path": request.raw_path, "body": (await request.read()).decode(),
            "headers": dict(request.headers),
        }  # fmt: skip
        return web.json_response(told, headers={"X-Own": "kept", "Set-Cookie": "a=b"}, status=418)


@dataclass
class Between:
    """A client, the proxy and the service behind it."""

    shelf: Shelf
    proxy: FaultProxy
    client: aiohttp.ClientSession
    clock: Clock

    async def names(self, **query: str) -> list[str]:
        """The names that a list shows, whose count must fit."""
        async with self.client.get(f"{self.proxy.url}/things", params=query) as answer:
            body = await answer.json()
        assert body["count"] == len(body["rows"])
        assert body["page_size"] == 50
        return [row["name"] for row in body["rows"]]

    async def add(self, name: str) -> int:
        """Put something there."""
        async with self.client.post(f"{self.proxy.url}/things", json={"name": name}) as answer:
            return answer.status


@pytest.fixture
async def between() -> AsyncIterator[Between]:
    def widened(asked: Asked) -> Asked:
        return replace(asked, query=tuple(pair for pair in asked.query if pair[0] != "name"))

    shelf, clock = Shelf(), Clock()
    proxy = FaultProxy(ids=lambda: set(shelf.things), now=clock.now, widened=widened, refusal=plain_refusal)
    async with shelf, proxy, aiohttp.ClientSession() as client:
        proxy.target = shelf.url
        yield Between(shelf, proxy, client, clock)


async def test_what_is_not_spoiled_passes_as_it_is(between: Between) -> None:
    path = "/echo/a%2Fb%27?q=select%20*%20where%20x%3D%27O%5C%27Brien%27&q=2"
    url, headers = URL(between.proxy.url + path, encoded=True), {"X-Api-Key": "k", MARK: "1"}
    async with between.client.put(url, data=b"body", headers=headers) as answer:
        told: dict[str, Any] = await answer.json()
        assert (answer.status, answer.headers["X-Own"], answer.headers["Set-Cookie"]) == (418, "kept", "a=b")
    assert (told["method"], told["path"], told["body"]) == ("PUT", path, "body")
    assert told["headers"]["X-Api-Key"] == "k"
    assert told["headers"]["Host"] == between.proxy.url.removeprefix("http://")  # so that links lead back through it
    assert MARK not in told["headers"]


async def test_a_fault_is_made_before_a_service_that_knows_nothing_of_it(between: Between) -> None:
    between.proxy.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST *"))
    with pytest.raises(aiohttp.ClientError):
        await between.add("lost")
    assert list(between.shelf.things.values()) == ["old", "lost"]
    between.proxy.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="POST *"))
    assert await between.add("refused") == 500
    assert len(between.shelf.things) == 2


async def test_a_create_is_told_from_other_requests_by_the_service_s_own_ledger(between: Between) -> None:
    await between.names()
    await between.add("new")
    assert [call.route for call in between.proxy.creates] == ["POST /things"]


async def test_a_new_record_hides_from_lists_for_the_lag_and_counts_fit(between: Between) -> None:
    between.proxy.lag = 60.0
    await between.add("new")
    assert await between.names() == ["old"]
    assert await between.names(name="new") == []
    between.clock.advance(61)
    assert await between.names() == ["old", "new"]


async def test_a_filter_can_be_ignored(between: Between) -> None:
    await between.add("new")
    assert await between.names(name="new") == ["new"]
    between.proxy.widening = True
    assert await between.names(name="new") == ["old", "new"]


async def test_a_request_through_another_session_is_noticed(between: Between) -> None:
    async with between.client.get(f"{between.proxy.url}/things", headers={MARK: "1"}):
        pass
    assert between.proxy.unmarked == []
    await between.names()
    assert [call.route for call in between.proxy.unmarked] == ["GET /things"]


async def test_a_refusal_that_quotes_is_worded_as_the_service_words_it(between: Between) -> None:
    between.proxy.faults.add(Fault(kind=FaultKind.ECHO))
    async with between.client.post(f"{between.proxy.url}/things", json={"name": "Ada"}) as answer:
        assert answer.status == 400
        assert "Ada" in json.loads(await answer.read())["message"]


def test_the_engine_is_the_gateway_s_own() -> None:
    assert isinstance(load_engine(), EnsureEngine)
