"""A process that may open no file and no connection any more: no false acknowledgement, and it recovers by itself."""

import asyncio
import contextlib
import resource
import socket
from pathlib import Path

import pytest

from tests.crash.nursery import Nursery
from tests.crash.scene import open_scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HELD = 40
"""Connections that somebody holds open."""


async def test_without_file_descriptors_nothing_false_is_acknowledged_and_work_goes_on_once_there_are(
    tmp_path: Path, nursery: Nursery
) -> None:
    async with open_scene(tmp_path, nursery) as scene:
        child = await scene.start()
        scene.traffic()
        await scene.finish()
        before = len(scene.acknowledged)
        opened = len(list(Path(f"/proc/{child.pid}/fd").iterdir()))
        limit = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (opened // 2, limit[1]))
        await scene.hang_up()
        held = [await connected(scene.port) for _ in range(HELD)]
        for number in range(10):
            scene.invoice(
                scene.flexprice.add_customer(name=f"Guest {number}", email=f"guest{number}@example.com")["id"]
            )
        await asyncio.sleep(1.0)  # long enough for senders to be turned away many times
        assert await child.poll() is None
        assert scene.acknowledged[before:] == []
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, limit)
        for one in held:
            one.close()
        await scene.finish()
        await scene.check()


async def connected(port: int) -> socket.socket:
    """Return a connection that says nothing, or one that was refused."""
    made = socket.socket()
    made.setblocking(False)
    with contextlib.suppress(OSError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port)), 2)
    return made
