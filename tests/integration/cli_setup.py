"""Runs the real program as a process: its exit code, its output, and what must never be in it.

A command that is run to its end is forked after its imports (tests/integration/cli_zygote.py), which is ten times as
quick, on a terminal too. One that is left running, or that is to import other things (`PYTHONPATH`), is started as
people start it.
"""

import asyncio
import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from connectors.testing.quickbooks import QuickBooksSimulator
from tests.harness import Rig

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one run has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that stdout must be."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@cache
def zygote() -> socket.socket:
    """Where commands are ordered, of this process; it ends with this process."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "tests.integration.cli_zygote"]
    with theirs:
        process = subprocess.Popen(command, cwd=ROOT, env=clean(), stdin=theirs.fileno(), stdout=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.wait(PATIENCE)

    atexit.register(end)
    return ours


def clean() -> dict[str, str]:
    """Return nothing of the environment that runs the tests but what programs need."""
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "SYSTEMROOT"}}


async def forked(arguments: Sequence[str], env: dict[str, str], streams: Sequence[int]) -> int:
    """Run a command in a fork of the zygote, with these three files as its streams; return its exit code.

    It is killed when it takes too long.
    """
    ours, theirs = os.pipe()
    with os.fdopen(ours, encoding="utf-8") as answer, tempfile.TemporaryFile() as order:
        order.write(json.dumps({"arguments": arguments, "env": env}).encode())
        order.seek(0)
        socket.send_fds(zygote(), [b"x"], [order.fileno(), *streams, theirs])
        os.close(theirs)
        async with asyncio.timeout(PATIENCE):
            pid = int(await asyncio.to_thread(answer.readline))
        try:
            async with asyncio.timeout(PATIENCE):
                return int(await asyncio.to_thread(answer.readline))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise


async def captured(arguments: Sequence[str], env: dict[str, str], stdin: bytes) -> tuple[int, bytes, bytes]:
    """Run a command in a fork; return its exit code and its output. Nothing it reads or writes waits for us."""
    with contextlib.ExitStack() as stack:
        given, out, err = files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        given.write(stdin)
        given.seek(0)
        code = await forked(arguments, env, [file.fileno() for file in files])
        for file in (out, err):
            file.seek(0)
        return code, out.read(), err.read()


@dataclass(slots=True, kw_only=True)
class Cli:
    """The program with a database of its own. Secrets are given as canaries, which no output may hold."""

    folder: Path
    database: Path
    environment: dict[str, str] = field(default_factory=dict)
    canaries: list[str] = field(default_factory=list)

    def secret(self, name: str, value: str) -> str:
        """Put a secret into the environment, watch for it in every output, and return the reference to it."""
        self.environment[name] = value
        self.canaries.append(value)
        return f"env:{name}"

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a run."""
        own = {"LEDGERGATE_DATABASE_URL": f"sqlite:///{self.database}", "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES": "true"}
        return {**clean(), **own, **self.environment, **more}

    async def start(self, *arguments: str, **more: str) -> asyncio.subprocess.Process:
        """Start the program, and leave it running."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "run.py", *arguments, cwd=ROOT, env=self.env(**more), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def run(self, *arguments: str, stdin: str | bytes = b"", **more: str) -> Result:
        """Run one command to its end. `more` are environment variables of this run."""
        given = stdin.encode() if isinstance(stdin, str) else stdin
        env = self.env(**more)
        if "PYTHONPATH" not in env:
            return self.checked(*await captured(arguments, env, given))
        process = await self.start(*arguments, **more)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(given)
        return self.checked(process.returncode, out, err)

    def checked(self, code: int | None, out: bytes, err: bytes) -> Result:
        """Return the result; nothing secret and no traceback may be in it."""
        result = Result(code=-1 if code is None else code, out=out.decode(), err=err.decode())
        assert "Traceback" not in result.out + result.err, result.err
        for canary in self.canaries:
            assert canary not in result.out + result.err, f"a secret was printed: {canary[:4]}…"
        return result

    async def ok(self, *arguments: str, stdin: str | bytes = b"", **more: str) -> Result:
        """Run one command, which must succeed."""
        result = await self.run(*arguments, stdin=stdin, **more)
        assert result.code == 0, result.err
        return result

    async def json(self, *arguments: str, code: int = 0, stdin: str | bytes = b"", **more: str) -> Any:
        """Run one command with --json, and return its document."""
        result = await self.run(*arguments, "--json", stdin=stdin, **more)
        assert result.code == code, result.err
        return result.document

    def write(self, name: str, text: str) -> str:
        """Write a file, and return its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)


def cli_of(rig: Rig, folder: Path) -> Cli:
    """The program on the database of a running rig; the secrets of its services are canaries."""
    database = Path(rig.settings.database_url.removeprefix("sqlite:///"))
    secrets = [rig.secret, rig.flexprice.api_key, rig.nomod.api_key, rig.intuit.client_secret]
    return Cli(folder=folder, database=database, canaries=secrets)


def quickbooks_toml(cli: Cli, intuit: QuickBooksSimulator, *, name: str = "qbo-prod", more: str = "") -> str:
    """A connection with the simulated QuickBooks, as people write it."""
    secret = cli.secret("QBO_CLIENT_SECRET", intuit.client_secret)
    return f"""
[[connections]]
name = "{name}"
connector = "quickbooks"
tenant_id = "tenant_123"
environment_id = "prod"
invoice_sync = {{ outbound = true }}
[connections.config]
client_id = "{intuit.client_id}"
client_secret = "{secret}"
environment = "sandbox"
base_url = "{intuit.base_url}"
authorize_url = "{intuit.authorize_url}"
token_url = "{intuit.token_url}"
revoke_url = "{intuit.revoke_url}"
{more}
"""


def interrupt(process: asyncio.subprocess.Process) -> None:
    """Do what Ctrl-C does."""
    process.send_signal(signal.SIGINT)
