"""Commits of other processes on the same file wake who waits, without a look: these tests look once an hour."""

import asyncio
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from storage.errors import StoreUnavailableError
from storage.sqlite.store import SqliteStore
from storage.testing.making import make_delivery

HOUR, PATIENCE = 3600.0, 60.0
ROOT = Path(__file__).resolve().parents[2]

Opened = Callable[[], Awaitable[SqliteStore]]

COMMITS = """
import asyncio, sys
from pathlib import Path
from storage.sqlite.store import SqliteStore
from storage.testing.making import make_delivery

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await store.add_delivery(make_delivery("from outside"))
    await store.close()

asyncio.run(main())
"""
ENDS_WITHOUT_A_WORD = """
import asyncio, os, signal, sys
from pathlib import Path
from storage.sqlite.store import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await store.change_token()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Opened]:
    """Give what opens a store on the file, as another process has one; closed at the end."""
    async with AsyncExitStack() as stack:

        async def one() -> SqliteStore:
            store = SqliteStore(path, poll_seconds=HOUR)
            await store.open()
            stack.push_async_callback(store.close)
            return store

        yield one


async def run(program: str, path: Path) -> None:
    """Run a program in a process of its own, to its end."""
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(path)], cwd=ROOT, check=False, timeout=PATIENCE
    )


def bells(path: Path) -> list[Path]:
    """Return the sockets beside a database."""
    folder = path.with_name(f"{path.name}-bells")
    return list(folder.iterdir()) if folder.exists() else []


async def waits(store: SqliteStore) -> "asyncio.Task[bool]":
    """Begin to wait for a change, and return once it does, or has already come to an end."""
    token = await store.change_token()
    waiting = asyncio.create_task(store.wait_for_change(PATIENCE, since=token))
    while not (store._db._outside.listeners or waiting.done()):  # noqa: ASYNC110 - it takes a turn or two of the loop
        await asyncio.sleep(0)
    return waiting


async def test_a_commit_of_another_process_wakes(opened: Opened, path: Path) -> None:
    waiting = await waits(await opened())
    await run(COMMITS, path)
    assert await waiting is True


async def test_everybody_is_rung_again_and_again(opened: Opened) -> None:
    stores = [await opened() for _ in range(3)]
    for turn, committing in enumerate(stores * 2):
        waiting = [await waits(store) for store in stores if store is not committing]
        await committing.add_delivery(make_delivery(f"msg_{turn}"))
        assert await asyncio.gather(*waiting) == [True, True]


async def test_what_rings_while_nobody_waits_is_heard_by_the_next_wait(opened: Opened) -> None:
    listening, committing = await opened(), await opened()
    token = await listening.change_token()
    for n in range(100):  # far more than a socket keeps
        await committing.add_delivery(make_delivery(f"msg_{n}"))
    assert await listening.wait_for_change(PATIENCE, since=token) is True


async def test_what_concerns_nobody_rings_for_nobody(opened: Opened) -> None:
    listening, committing = await opened(), await opened()
    token = await listening.change_token()
    await committing.change_budget("nomod", lambda _state, _now: ({"taken": []}, None))
    assert await listening.wait_for_change(0.05, since=token) is False


async def test_only_the_owner_may_ring(opened: Opened, path: Path) -> None:
    await (await opened()).change_token()
    (bell,) = bells(path)
    assert stat.S_IMODE(bell.stat().st_mode) == 0o600
    assert stat.S_IMODE(bell.parent.stat().st_mode) == 0o700


async def test_nothing_is_left_behind(path: Path) -> None:
    stores = [SqliteStore(path) for _ in range(2)]
    for store in stores:
        await store.open()
        assert await store.wait_for_change(0) is False
    assert len(bells(path)) == 2
    for store in stores:
        await store.close()
    assert not path.with_name(f"{path.name}-bells").exists()


async def test_who_only_writes_has_no_bell(opened: Opened, path: Path) -> None:
    await (await opened()).add_delivery(make_delivery())
    assert bells(path) == []


async def test_the_bell_of_a_killed_process_is_taken_away(opened: Opened, path: Path) -> None:
    listening, committing = await opened(), await opened()
    waiting = await waits(listening)
    await run(ENDS_WITHOUT_A_WORD, path)
    assert len(bells(path)) == 2
    await committing.add_delivery(make_delivery())
    assert await waiting is True
    await committing.add_delivery(make_delivery("after the answer to the first, the bells are rung"))
    assert len(bells(path)) == 1


async def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    stores = [SqliteStore(folder / "store.db", poll_seconds=HOUR) for _ in range(2)]
    for store in stores:
        await store.open()
    waiting = await waits(stores[0])
    await stores[1].add_delivery(make_delivery())
    assert await waiting is True
    for store in stores:
        await store.close()


@pytest.mark.parametrize("trap", ["a file", "a folder that is open to others", "a link"])
async def test_where_no_bell_can_be_it_looks_as_before(path: Path, tmp_path: Path, trap: str) -> None:
    folder = path.with_name(f"{path.name}-bells")
    match trap:
        case "a file":
            folder.write_bytes(b"")
        case "a link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            folder.symlink_to(tmp_path / "elsewhere")
        case _:
            folder.mkdir()
            folder.chmod(0o777)
    stores = [SqliteStore(path, poll_seconds=0.01) for _ in range(2)]
    for store in stores:
        await store.open()
    token = await stores[0].change_token()
    await stores[1].add_delivery(make_delivery())
    assert await stores[0].wait_for_change(PATIENCE, since=token) is True
    assert stores[0]._db._outside.bell.ear is None
    for store in stores:
        await store.close()


async def test_a_stranger_s_datagrams_do_no_harm(opened: Opened, path: Path) -> None:
    store = await opened()
    waiting = await waits(store)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"x" * 1000, str(bells(path)[0]))
    assert await waiting is True
    await store.add_delivery(make_delivery())


async def test_a_wait_ends_with_its_store(path: Path) -> None:
    store = SqliteStore(path, poll_seconds=0.01)
    await store.open()
    waiting = await waits(store)
    await store.close()
    with pytest.raises(StoreUnavailableError):
        await waiting
    assert bells(path) == []
