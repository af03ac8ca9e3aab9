"""A server under test: started pinned to its core, waited for, measured, stopped. Only own processes are touched."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.machine import cores, cpu_seconds, memory_mib, pinned

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
DRAIN_SECONDS = 600.0
"""A backlog may take so long, on a machine that others use too."""
STOP_SECONDS = 15.0


class NotStartedError(RuntimeError):
    """A server did not come up. Its text has the last lines that the server wrote."""


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return a server's environment: as a service has it, compiled modules kept, no settings of ours but `extra`."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "LD_PRELOAD")
    kept = {k: v for k, v in os.environ.items() if k not in dropped and not k.startswith("LEDGERGATE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **extra}


class Server:
    """One running server. `log` gets what it writes."""

    def __init__(
        self, command: Sequence[str], *, port: int, log: Path, env: Mapping[str, str] | None = None,
        path: str = "/", folder: Path = ROOT,
    ) -> None:  # fmt: skip
        self.port, self.path = port, path
        self._log = log
        with pinned(cores()[0]), log.open("ab") as told:
            self.began = time.perf_counter()
            self._process = subprocess.Popen(
                list(command), cwd=folder, env=environment(env or {}), stdin=subprocess.DEVNULL, stdout=told,
                stderr=told, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        """Return itself once the port answers. Raises NotStartedError."""
        try:
            self.wait_for(self._listens)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid

    def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return cpu_seconds(self.pid)

    def memory(self) -> float:
        """Return the memory in MiB (PSS)."""
        return memory_mib(self.pid)

    def wait_for(self, ready: Callable[[], bool], *, every: float = 0.002, patience: float = START_SECONDS) -> float:
        """Wait until `ready` says so; return the seconds since the start.

        Raises NotStartedError when the server has ended, or `patience` (seconds) is over.
        """
        deadline = time.perf_counter() + patience
        while not ready():
            if self._process.poll() is not None:
                raise NotStartedError(f"ended with {self._process.returncode}: {self._last_lines()}")
            if time.perf_counter() > deadline:
                raise NotStartedError(f"not ready after {patience:.0f} seconds: {self._last_lines()}")
            time.sleep(every)
        return time.perf_counter() - self.began

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a GET. Raises OSError."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            asked.request("GET", path)
            answer = asked.getresponse()
            return answer.status, answer.read()
        finally:
            asked.close()

    def stop(self) -> None:
        """Ask it to end; end it when it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _last_lines(self) -> str:
        return " / ".join(self._log.read_text("utf-8", "replace").splitlines()[-5:])
