"""Pages that follow what happens: streams say that something has changed, to who may know it, and end in time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.console.live import MAX_EACH, Streams
from gateway.console.visit import CONSOLE
from tests.harness import Rig
from tests.integration.console_setup import ADA, OTHER_TENANT, ROOT, Browser, Browsers, configured


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """A tenant with a source and a connection; browsers; and streams that look at once."""
    rig.gateway.app[CONSOLE].streams._quiet = 0.0
    async with configured(rig) as opened:
        yield opened


@dataclass(slots=True)
class Stream:
    """An open stream."""

    answer: aiohttp.ClientResponse

    async def event(self, *, seconds: float = 20) -> tuple[str, Any]:
        """Return the next event's name and data; comments are passed over."""
        name = ""
        async with asyncio.timeout(seconds):
            async for raw in self.answer.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                if line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
        return "end", None

    async def hears(self, told: Any) -> list[Any]:
        """Wait for this change, and return those before it."""
        before = []
        while (heard := await self.event()) != ("change", told):
            assert heard[0] == "change", heard
            before.append(heard[1])
        return before

    async def comment(self) -> str:
        """Return the next comment."""
        async for raw in self.answer.content:
            if raw.startswith(b": "):
                return raw.decode().strip()
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def following(browser: Browser, query: str) -> AsyncIterator[Stream]:
    """Open a stream."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    since = "" if "since=" in query else f"&since={await browser.rig.store.change_token()}"
    url = f"{browser.rig.gateway.url}{ROOT}/live?{query}{since}"
    headers = {"Cookie": cookies, "Accept": "text/event-stream"}
    async with browser.session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        await answer.content.readline()
        yield Stream(answer)


async def test_a_list_hears_how_many_came_since_it_was_made(rig: Rig, who: Browsers) -> None:
    async with following(who.viewer, "about=deliveries&after=") as stream:
        first = await rig.send(b'{"type":"nothing"}')
        await stream.hears({"new": 1})
        await rig.finish()
    async with following(who.viewer, f"about=deliveries&after={first}") as stream:
        await rig.send(b'{"type":"nothing"}')
        await stream.hears({"new": 1})
        await rig.send(b'{"type":"nothing"}')
        await stream.hears({"new": 2})


async def test_a_narrowed_list_hears_only_of_what_it_shows(rig: Rig, who: Browsers) -> None:
    async with following(who.viewer, "about=deliveries&after=&status=failed") as stream:
        await rig.send(b'{"type":"nothing"}')
        await rig.finish()
        await rig.send(b"not json")
        await stream.hears({"new": 1})


async def test_one_delivery_and_one_job_hear_how_they_get_on(rig: Rig, who: Browsers) -> None:
    await rig.pause("nomod-prod")
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    job = await rig.job()
    async with (
        following(who.viewer, f"about=delivery&id={delivery}") as of_delivery,
        following(who.viewer, f"about=job&id={job.job_id}") as of_job,
    ):
        await rig.resume("nomod-prod")
        await rig.finish()
        name, told = await of_delivery.event()
        while told["status"] != "processed":
            name, told = await of_delivery.event()
        assert name == "change"
        name, told = await of_job.event()
        while told["status"] != "succeeded":
            name, told = await of_job.event()


async def test_a_page_that_was_made_before_the_last_change_hears_at_once(rig: Rig, who: Browsers) -> None:
    before = await rig.store.change_token()
    await rig.send(b'{"type":"nothing"}')
    await rig.finish()
    async with following(who.viewer, f"about=overview&since={before}") as stream:
        name, told = await stream.event()
        assert (name, len(told["newest"])) == ("change", 1)


async def test_a_change_while_the_first_look_is_taken_is_told(rig: Rig) -> None:
    """The token was read before it, and the look shows it already: nothing that comes later would differ."""
    await rig.add_flexprice()
    streams, since = Streams(rig.store, quiet=0.0), await rig.store.change_token()
    looks = 0

    async def look() -> dict[str, int]:
        nonlocal looks
        looks += 1
        if looks == 1:
            await rig.send(b'{"type":"nothing"}')
        return {"deliveries": len((await rig.store.list_deliveries()).items)}

    async def still() -> dict[str, int]:
        return {}

    async def follow(request: web.Request) -> web.StreamResponse:
        return await streams.serve(request, sid="one", since=since, look=look, still=still)

    app = web.Application()
    app.router.add_get("/live", follow)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        async with session.get(server.make_url("/live")) as answer:
            assert await Stream(answer).event() == ("change", {"deliveries": 1})
        streams.stop()


async def test_another_tenants_work_is_not_heard(rig: Rig, who: Browsers) -> None:
    await rig.add_flexprice("theirs", tenant_id=OTHER_TENANT)
    async with (
        following(who.stranger, "about=deliveries&after=") as strangers,
        following(who.viewer, "about=deliveries&after=") as mine,
    ):
        for count in (1, 2, 3):
            await rig.send(b'{"type":"nothing"}')
            await mine.hears({"new": count})
        await rig.send(b'{"type":"nothing"}', source="theirs")
        assert all(told == {"new": 0} for told in await strangers.hears({"new": 1}))


async def test_a_quiet_stream_gives_a_sign_of_life(rig: Rig, who: Browsers) -> None:
    rig.gateway.app[CONSOLE].streams._heartbeat = 0.05
    async with following(who.viewer, "about=needs") as stream:
        assert await stream.comment() == ": still here"
        assert await stream.comment() == ": still here"


async def test_a_stream_ends_with_its_key(rig: Rig, who: Browsers) -> None:
    async with following(who.viewer, "about=overview") as stream:
        row = next(key for key in await rig.store.list_keys() if key.name == "viewer")
        await who.admin.post(f"/settings/keys/{row.key_id}/revoke")
        while (heard := await stream.event())[0] == "change":
            continue
        assert heard == ("over", {})


async def test_a_stream_ends_with_a_logout(rig: Rig, who: Browsers) -> None:
    async with following(who.viewer, "about=overview") as stream:
        await who.viewer.post("/logout")
        await rig.send(b'{"type":"nothing"}')
        while (heard := await stream.event())[0] == "change":
            continue
        assert heard == ("over", {})


async def test_there_are_only_so_many_streams_for_one_session_and_for_all(rig: Rig, who: Browsers) -> None:
    async with asyncio.timeout(30):
        opened = [following(who.viewer, "about=needs") for _ in range(MAX_EACH)]
        for each in opened:
            await each.__aenter__()
        too_many = await who.viewer.ask("GET", f"{ROOT}/live?about=needs")
        assert (too_many.status, too_many.headers["Retry-After"]) == (503, "30")
        async with following(who.operator, "about=needs"):
            pass
        streams = rig.gateway.app[CONSOLE].streams
        streams._most = MAX_EACH
        assert (await who.operator.ask("GET", f"{ROOT}/live?about=needs")).status == 503
        for each in opened:
            await each.__aexit__(None, None, None)
        streams._heartbeat = 0.01
        await rig.send(b'{"type":"nothing"}')
        await rig.until(lambda: not streams._open)
        async with following(who.viewer, "about=needs"):
            pass


async def test_an_open_stream_does_not_keep_the_gateway_from_stopping(rig: Rig, who: Browsers) -> None:
    async with following(who.viewer, "about=overview") as stream:
        async with asyncio.timeout(4):
            await rig.stop_nodes()
        assert (await stream.event())[0] == "end"


async def test_nothing_else_can_be_followed(who: Browsers) -> None:
    assert (await who.viewer.get("/live?about=secrets", status=400)).heading == "Request invalid"
    async with following(who.viewer, "about=needs&since=x"):
        pass
