"""What every history begins from: a loop, and a database that was configured once and is laid down afresh each time."""

import copy
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import asyncpg  # type: ignore[import-untyped]
import uvloop
from aiohttp import web
from pydantic import SecretStr

from connectors.testing.ports import ReservedPort
from connectors.testing.quickbooks_oauth import Chain
from gateway.app import Gateway
from gateway.web.server import Runner
from gateway.web.webhooks import Door
from tests.configuring import SOURCE
from tests.harness import Ports, Rig
from tests.integration.payment_setup import add_quickbooks_events
from tests.integration.polling_setup import begun, wake

T = TypeVar("T")
SECRET_KEY = SecretStr("secret-key-of-the-histories-0000")
MEMORY = Path("/dev/shm")
"""Histories ask what is kept over the death of a process, not of a machine: a disk would only make them slow."""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"


class DoorOnly(Gateway):
    """A gateway with its door for webhooks, and neither API nor console: their routes take longer than all the rest."""

    async def _listen(self, door: Door) -> None:
        self._runner = Runner(self.app, door)
        await self._runner.setup()
        self._stack.push_async_callback(self._runner.cleanup)
        await web.TCPSite(self._runner, self.settings.host, self.settings.port).start()


class HistoryRig(Rig):
    """A rig of such gateways."""

    kind = DoorOnly


class Ground:
    """A loop, and on it one rig after the other, each as if all had just been set up at the same moment.

    With a `postgres` address histories live in that database, which has our schema and is not used otherwise.
    """

    def __init__(self, *, postgres: str | None = None) -> None:
        self._postgres = postgres
        self._loop = uvloop.new_event_loop()
        self._folder = Path(tempfile.mkdtemp(prefix="ledgergate-histories-", dir=MEMORY if MEMORY.is_dir() else None))
        self._start: datetime | None = None
        self._reserved = {field.name: ReservedPort() for field in fields(Ports)}
        """The services leave theirs between two histories."""
        self._ports = Ports(**{name: reserved.number for name, reserved in self._reserved.items()})
        self._secret = ""
        self._chains: list[Chain] = []
        self._file, self._statements = b"", ""

    def __enter__(self) -> Self:
        """Set everything up once."""
        self.run(self._set_up())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self.run(self._loop.shutdown_default_executor())
        self._loop.close()
        shutil.rmtree(self._folder)
        for reserved in self._reserved.values():
            reserved.release()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop, and return what comes of it."""
        return self._loop.run_until_complete(work)

    async def begin(self) -> Rig:
        """Return a rig that runs, with one gateway, as it was set up."""
        await self._lay()
        rig = self._rig()
        rig.secret = self._secret
        rig.intuit.oauth.chains += copy.deepcopy(self._chains)
        await rig.start()
        return rig

    def _rig(self) -> Rig:
        url = self._postgres or f"sqlite:///{self._folder / 'rig.db'}"
        return HistoryRig(self._folder, start=self._start, ports=self._ports, database_url=url, secret_key=SECRET_KEY)

    async def _lay(self) -> None:
        """Bring the database back to what it was when all was set up."""
        if self._postgres is None:
            for left in self._folder.iterdir():
                left.unlink()
            (self._folder / "rig.db").write_bytes(self._file)
        else:
            connection = await asyncpg.connect(self._postgres)
            await connection.execute(self._statements)
            await connection.close()

    async def _set_up(self) -> None:
        rig = self._rig()
        await rig.start()
        await rig.add_flexprice()
        await rig.add_tithely()
        await rig.add_nomod(invoices=True)
        await rig.add_quickbooks()
        await rig.add_nomod_events()
        await add_quickbooks_events(rig)
        wake(rig)
        await begun(rig, SOURCE)
        self._start, self._secret = rig.now(), rig.secret
        self._chains = copy.deepcopy(rig.intuit.oauth.chains)
        await rig.stop()
        if self._postgres is None:
            self._file = (self._folder / "rig.db").read_bytes()
        else:
            self._statements = await _keep(self._postgres)


async def _keep(url: str) -> str:
    """Keep what all tables hold in a schema beside them, and return the statements that bring it back."""
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept")
    statements = []
    for table in [row["tablename"] for row in await connection.fetch(_TABLES)]:
        await connection.execute(f"CREATE TABLE kept.{table} AS TABLE public.{table}")
        statements += [f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM kept.{table}"]  # noqa: S608
    await connection.close()
    return "; ".join(statements)
