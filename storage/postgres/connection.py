"""One connection to the server: made with the settings that the promise rests on, and its errors made ours."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from storage.errors import ConflictError, SchemaError, StorageError, StoreUnavailableError, UnstorableError
from storage.postgres.driver import GONE, INTEGRITY, UNUSABLE, Connection, is_unstorable, open_connection
from storage.rows import Row

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 30.0
# Set by a statement, since what stands between may know no such parameters of a connection; `remote_apply` is stronger.
# A node that stands still in the middle of a transaction must not hold up the others. LZ4, where the server was built
# with it, takes a tenth of the time of the server's own compression, which is else a quarter of what a delivery costs.
# No question of ours takes as long as it takes to compile one, which the server thinks of where it cannot estimate.
_SET = """
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                                        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false) AS commits,
       set_config('lock_timeout', '10s', false), set_config('idle_in_transaction_session_timeout', '15s', false),
       set_config('application_name', 'ledgergate', false), set_config('jit', 'off', false),
       current_setting('fsync') AS fsync,
       (SELECT set_config(name, 'lz4', false) FROM pg_settings
         WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals))"""


async def connect(url: str, *, command_timeout: float | None = COMMAND_TIMEOUT) -> Connection:
    """Open a connection. Raises StoreUnavailableError; SchemaError when the server does not keep what it commits."""
    try:
        connection = await open_connection(url, timeout=CONNECT_TIMEOUT, command_timeout=command_timeout)
    except UNUSABLE as error:
        raise StorageError("the database URL cannot be used") from error
    except GONE as error:
        raise ours(error) from error
    try:
        await prepare(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def prepare(connection: Connection) -> None:
    """Make a session ours. Raises SchemaError unless a commit that has returned is on disk.

    https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
    """
    try:
        row = await connection.fetchrow(_SET)
    except GONE as error:
        raise ours(error) from error
    if row is None or row["commits"] not in ("on", "remote_apply") or row["fsync"] != "on":
        raise SchemaError("the server does not keep what it commits: it runs with fsync or synchronous_commit off")


def ours(error: BaseException) -> BaseException:
    """Return an error of PostgreSQL or of the way to it as ours; any other stays what it is.

    Only names are taken over: the server's texts may hold values.
    """
    if isinstance(error, INTEGRITY):
        return ConflictError(f"{type(error).__name__}: {getattr(error, 'constraint_name', None) or ''}")
    if is_unstorable(error):
        return UnstorableError(type(error).__name__)
    if isinstance(error, GONE):
        return StoreUnavailableError(type(error).__name__)
    return error


class Session:
    """A connection as the parts of the store use it.

    PostgreSQL has no text with a NUL in it, which SQLite has: it becomes U+FFFD, in what is written as in what is
    looked for, so that no sender can make a delivery that is never dispatched.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, query: str, *args: Any) -> int:
        """Run a statement, and return how many rows it has changed."""
        status = await self._connection.execute(query, *[plain(value) for value in args])
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def rows(self, query: str, *args: Any) -> Sequence[Row]:
        """Return all rows."""
        return await self._connection.fetch(query, *[plain(value) for value in args])

    async def row(self, query: str, *args: Any) -> Row | None:
        """Return the first row, or None."""
        return await self._connection.fetchrow(query, *[plain(value) for value in args])

    def transaction(self, **how: Any) -> AbstractAsyncContextManager[Any]:
        """Return a transaction, to be used with `async with`."""
        return self._connection.transaction(**how)

    async def value(self, query: str, *args: Any) -> Any:
        """Return the first column of the first row, or None."""
        return await self._connection.fetchval(query, *[plain(value) for value in args])


def columns(records: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    """Return the values of rows as columns, for `unnest`; so many empty ones when there are no rows."""
    return [list(column) for column in zip(*records, strict=True)] if records else [[] for _ in range(count)]


def plain(value: Any) -> Any:
    """Return a value as PostgreSQL can hold it: see Session."""
    if type(value) is str:
        return value.replace("\x00", "\ufffd") if "\x00" in value else value
    if type(value) is list:
        return [plain(item) for item in value]
    return value
