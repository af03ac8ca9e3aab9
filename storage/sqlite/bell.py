"""What wakes the other processes on the file: a datagram to a socket that each has beside it, and one of its own.

SQLite tells nobody of a commit. So every process that waits for one binds a socket in the folder `<database>-bells`,
and whoever commits sends a byte to all that it finds there, after the commit. It is only ever a hint: who cannot ring,
or hear, looks once a second (storage/sqlite/outside.py).
"""

import contextlib
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

LONGEST = 100
"""Bytes of a socket's address; Linux takes 107, others 103 (https://man7.org/linux/man-pages/man7/unix.7.html)."""
TRIES = 5
SETTLED = 2_000_000_000
"""Nanoseconds after a change of the folder until its time tells it from the next one."""


class Bell:
    """Rings for the other processes, in the writer's thread, and hears them, in the event loop's."""

    def __init__(self, database: Path) -> None:
        self._folder = database.absolute().with_name(f"{database.name}-bells")
        self._place = str(self._folder)
        self._name = ""
        self.ear: socket.socket | None = None
        """What becomes readable when another process has rung; None where nothing is heard."""
        self._tried = False
        self._rung: socket.socket | None = None
        self._others: list[str] = []
        self._changed = 0

    # Hearing ---------------------------------------------------------------------------------------------------

    def listen(self) -> bool:
        """Begin to hear, once; return whether that is possible here."""
        if not self._tried:
            self._tried = True
            with contextlib.suppress(OSError):  # a file system without sockets, a folder that may not be written
                self.ear = self._bind()
        return self.ear is not None

    def was_rung(self) -> bool:
        """Return whether somebody has rung since the last time."""
        rung = False
        while self.ear is not None:
            try:
                self.ear.recv(1)
            except OSError:  # nothing more is there
                break
            rung = True
        return rung

    def close(self) -> None:
        """Hear nothing more, and leave nothing behind."""
        for each in (self.ear, self._rung):
            if each is not None:
                each.close()
        if self.ear is not None:
            self._remove(self._name)
            with contextlib.suppress(OSError):  # others are still there
                self._folder.rmdir()
        self.ear = self._rung = None

    def _bind(self) -> socket.socket:
        for _ in range(TRIES):
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir(mode=0o700)
            found = self._folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise PermissionError(self._place)  # somebody else's, or open to others: a trap
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            made = _new()
            try:
                with self._address(name) as address:
                    made.bind(address)
                    Path(address).chmod(0o600)
            except FileNotFoundError:  # the last of the others has just gone, and has taken the folder along
                made.close()
                continue
            except BaseException:
                made.close()
                raise
            self._name = name
            return made
        raise FileNotFoundError(self._place)

    # Ringing ---------------------------------------------------------------------------------------------------

    def ring(self) -> None:
        """Tell all others that something was committed. Never waits, and never fails."""
        try:
            changed = os.stat(self._place).st_mtime_ns  # noqa: PTH116 - Path.stat costs twice as much
        except OSError:  # nobody waits for us
            return
        if changed != self._changed:
            self._look_around(changed)
        for name in self._others:
            self._ring(name)

    def _look_around(self, changed: int) -> None:
        try:
            self._others = [each.name for each in self._folder.iterdir() if each.name != self._name]
        except OSError:
            self._others = []
        # A change in the same tick of the clock would not be seen.
        self._changed = changed if time.time_ns() - changed > SETTLED else 0

    def _ring(self, name: str) -> None:
        try:
            if self._rung is None:
                self._rung = _new()
            with self._address(name) as address:
                self._rung.sendto(b"!", address)
        except ConnectionRefusedError:  # its process has ended without a word
            self._remove(name)
        except OSError:  # it was rung often enough already, or is gone
            return

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()

    @contextlib.contextmanager
    def _address(self, name: str) -> Iterator[str]:
        """Give a socket's address: by way of an open folder where the path is too long for one (Linux only)."""
        plain = f"{self._place}/{name}"
        if len(os.fsencode(plain)) <= LONGEST:
            yield plain
            return
        folder = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{name}"
        finally:
            os.close(folder)


def _new() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)  # noqa: FBT003 - the standard library has no name for it
    return made
