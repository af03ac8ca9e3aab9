"""More than the disk takes, and more than is signed: an answer or a 503, nothing lost, and bounded memory."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from gateway import keys
from gateway.app import Gateway
from gateway.sources.signing import new_secret, sign
from storage import Store
from storage.limits import MAX_WAITING_BYTES
from storage.sqlite.store import SqliteStore
from tests.harness import SOURCE, Rig
from tests.invariants import every

BIG = b'{"event_type":"wallet.created","wallet":"%b"}' % (b"x" * (900 * 1024))


@pytest.fixture(params=[60.0, 0.1], ids=["patient", "impatient"])
async def locked(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Rig, sqlite3.Connection]]:
    """A rig whose database another process has locked; for how many seconds its store waits is the parameter."""
    rig = Rig(tmp_path)
    store = SqliteStore(tmp_path / "rig.db", busy_timeout=request.param)
    rig.kind = partial(Gateway, store=cast("Store", store))
    await rig.start()
    await rig.add_flexprice()
    blocker = sqlite3.connect(tmp_path / "rig.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    yield rig, blocker
    blocker.close()
    await rig.stop()


async def post(
    session: aiohttp.ClientSession, rig: Rig, body: bytes, number: int, *, secret: str | None = None
) -> aiohttp.ClientResponse:
    """Post one webhook; return the answer, read whole."""
    headers = sign(
        secret or rig.secret, message_id=f"msg_{number}", timestamp=int(time.time()), body=body, scheme="svix"
    )
    async with session.post(f"{rig.gateway.url}/webhooks/{SOURCE}", data=body, headers=headers) as answer:
        await answer.read()
        return answer


@pytest.mark.parametrize("locked", [60.0], indirect=True)
async def test_what_the_disk_does_not_take_is_bounded_and_the_rest_is_told_to_come_again(
    locked: tuple[Rig, sqlite3.Connection],
) -> None:
    """The inbox holds so many bytes and no more; what it holds is answered once it is on disk, and shows until then."""
    rig, blocker = locked
    room = MAX_WAITING_BYTES // len(BIG) + 1
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        posting = [asyncio.create_task(post(session, rig, BIG, number)) for number in range(room + 6)]
        await rig.until(lambda: sum(one.done() for one in posting) == 6)
        refused = [one.result() for one in posting if one.done()]
        assert {one.status for one in refused} == {503}
        assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
        assert rig.store.deliveries_waiting == room
        assert f"ledgergate_deliveries_waiting {float(room)}" in await text(session, rig, "/metrics")
        assert (await session.get(f"{rig.gateway.url}/readyz")).status == 503
        blocker.execute("ROLLBACK")
        answers = [one.status for one in await asyncio.gather(*posting)]
        assert Counter(answers) == {202: room, 503: 6}
        again = [await post(session, rig, BIG, number) for number in range(room + 6)]
        assert Counter(one.status for one in again) == {200: room, 202: 6}
        assert (await session.get(f"{rig.gateway.url}/readyz")).status == 200
    assert len(await every(rig.store.list_deliveries)) == room + 6


async def text(session: aiohttp.ClientSession, rig: Rig, path: str) -> str:
    async with session.get(f"{rig.gateway.url}{path}") as answer:
        return await answer.text()


@pytest.mark.parametrize("locked", [0.1], indirect=True)
async def test_a_locked_database_is_a_503_at_the_door_and_nothing_that_has_to_be_repaired(
    locked: tuple[Rig, sqlite3.Connection],
) -> None:
    rig, blocker = locked
    async with aiohttp.ClientSession() as session:
        refused = await post(session, rig, b'{"event_type":"wallet.created"}', 1)
        assert (refused.status, int(refused.headers["Retry-After"]) >= 1) == (503, True)
        blocker.execute("ROLLBACK")
        assert (await post(session, rig, b'{"event_type":"wallet.created"}', 1)).status == 202
        await rig.finish()
        assert (await session.get(f"{rig.gateway.url}/readyz")).status == 200


async def test_a_flood_that_is_not_signed_is_refused_and_what_is_signed_gets_its_answer(rig: Rig) -> None:
    """A stranger's thousand leave a count and the last few, without their bodies."""
    await rig.add_flexprice()
    stranger = new_secret()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=60)) as session:
        body = b'{"event_type":"wallet.created","wallet":"%b"}' % (b"x" * 2000)
        floods = [post(session, rig, body, number, secret=stranger) for number in range(1000)]
        signed = [post(session, rig, body, number) for number in range(30)]
        answers = await asyncio.gather(*floods, *signed)
    assert Counter(one.status for one in answers) == {401: 1000, 202: 30}
    await rig.gateway.app[keys.QUARANTINE].flush(rig.store)
    assert (await rig.store.source_activity(SOURCE)).rejected == {"signature_mismatch": 1000}
    assert len(await rig.store.list_rejections(SOURCE)) <= 100
    assert len(await every(rig.store.list_deliveries)) == 30
