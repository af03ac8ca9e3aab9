"""A SQLite file with our schema and nothing in it, made once in a process: to copy it is quicker than to migrate."""

import os
import tempfile
from functools import cache
from pathlib import Path

from storage.sqlite import migrate
from storage.sqlite.connection import connect


@cache
def _installed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        connection = connect(path)
        migrate.upgrade(connection)
        connection.close()
        return path.read_bytes()


def put_database(path: Path) -> None:
    """Write the file as a first start leaves it, unless there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(_installed())
