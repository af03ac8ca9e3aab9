"""A disk as a trace of system calls tells it: what was written, what was synced, what was answered, and in which order.

From the trace follows what may lie on the disk when the power goes at any moment: all that was synced, and of the rest
anything, in any order, the last of it torn. https://www.sqlite.org/atomiccommit.html#_hardware_assumptions
"""

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,ftruncate"
SECTOR = 512
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$", re.DOTALL)
_FILE = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_ID = re.compile(rb'"delivery_id": ?"(dlv_\w+)"')


def command(trace: Path) -> list[str]:
    """Return what goes before a command whose calls are to be traced, with all bytes that are written."""
    return [
        "strace", "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", "100000000", "-o", str(trace),
        "-e", f"trace={CALLS}",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Bytes that were written to a place of a file; None is the end of the file, which was cut there."""

    at: int
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: a write or a sync of a file, or an answer that names a delivery."""

    kind: str
    file: str = ""
    write: Write | None = None
    covered: int = 0
    """Of a sync: how many writes to the file had ended when it began."""
    delivery_id: str = ""


@dataclass(slots=True)
class _Reader:
    """Reads lines; what was interrupted by another thread's line is put together again."""

    files: dict[str, int] = field(default_factory=dict)
    begun: dict[str, tuple[str, str, int]] = field(default_factory=dict)

    def events(self, lines: Iterable[str]) -> Iterator[Event]:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            thread, call, rest = found.groups()
            if " resumed>" in line.split("(", 1)[0]:
                call, start, covered = self.begun.pop(thread, (call, "", 0))
                yield from self._done(call, start + rest, covered)
                continue
            yield from self._answers(call, rest)  # an answer may be read from the moment its call begins
            covered = self.files.get(_name(rest), 0)
            if rest.endswith("<unfinished ...>"):
                self.begun[thread] = (call, rest.removesuffix("<unfinished ...>"), covered)
            else:
                yield from self._done(call, rest, covered)

    def _answers(self, call: str, rest: str) -> Iterator[Event]:
        if call in {"write", "writev", "sendto", "sendmsg"} and _name(rest).startswith("socket:"):
            for text in _TEXT.findall(rest):
                for named in _ID.findall(_bytes(text)):
                    yield Event(kind="answer", delivery_id=named.decode())

    def _done(self, call: str, rest: str, covered: int) -> Iterator[Event]:
        name = _name(rest)
        if call in {"fdatasync", "fsync"} and rest.endswith("= 0"):
            yield Event(kind="sync", file=name, covered=covered)
        elif call == "pwrite64":
            data = _bytes(_TEXT.search(rest)[1])  # type: ignore[index]  # every pwrite64 has its text
            done, at = int(rest.rsplit("=", 1)[1]), int(rest.rsplit(", ", 1)[1].split(")", maxsplit=1)[0])
            yield self._wrote(name, Write(at=at, data=data[:done]))
        elif call == "ftruncate":
            yield self._wrote(name, Write(at=int(rest.rsplit(", ", 1)[1].split(")", maxsplit=1)[0]), data=None))

    def _wrote(self, name: str, write: Write) -> Event:
        self.files[name] = self.files.get(name, 0) + 1
        return Event(kind="write", file=name, write=write)


def events(trace: Path) -> list[Event]:
    """Read a trace made by `command`."""
    with trace.open() as lines:
        return list(_Reader().events(lines))


class Disk:
    """What surely lies on the disk, and what may."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._safe = {name: bytearray(content) for name, content in files.items()}
        self._loose: dict[str, list[Write]] = {}
        self._synced: dict[str, int] = {}

    def happened(self, event: Event) -> None:
        """Take in what comes next."""
        if event.kind == "write" and event.write is not None:
            self._loose.setdefault(event.file, []).append(event.write)
        elif event.kind == "sync":
            loose, before = self._loose.get(event.file, []), self._synced.get(event.file, 0)
            for write in loose[: event.covered - before]:
                _apply(self._safe.setdefault(event.file, bytearray()), write)
            del loose[: max(0, event.covered - before)]
            self._synced[event.file] = max(before, event.covered)

    def after_power_loss(self, rng: random.Random) -> dict[str, bytes]:
        """Return what the files may hold if the power goes now: of what was not synced none, all, some, or a part."""
        way = rng.choice(["none", "all", "first", "any", "torn"])
        left: dict[str, bytes] = {}
        for name in {*self._safe, *self._loose}:
            content, loose = bytearray(self._safe.get(name, b"")), self._loose.get(name, [])
            first = loose[: rng.randint(0, len(loose))]
            some = [one for one in loose if rng.random() < 0.5]
            kept = {"none": [], "all": loose, "first": first, "any": some, "torn": first}[way]
            if way == "torn" and kept and (data := kept[-1].data) is not None:
                whole = rng.randint(0, len(data) // SECTOR) * SECTOR
                kept = [*kept[:-1], Write(at=kept[-1].at, data=data[: whole + rng.randint(0, 40)])]
            for write in kept:
                _apply(content, write)
            left[name] = bytes(content)
        return left


def answered_too_soon(happened: Iterable[Event], log: str) -> list[str]:
    """Return the deliveries that were answered before the log which holds them was synced, in order."""
    loose: list[bytes] = []
    safe, synced = b"", 0
    wrong: list[str] = []
    for event in happened:
        if event.kind == "write" and event.file == log and event.write is not None and event.write.data is not None:
            loose.append(event.write.data)
        elif event.kind == "write" and event.file == log:
            loose.append(b"")
        elif event.kind == "sync" and event.file == log:
            safe += b"".join(loose[: event.covered - synced])
            del loose[: max(0, event.covered - synced)]
            synced = max(synced, event.covered)
        elif event.kind == "answer" and event.delivery_id.encode() not in safe:
            wrong.append(event.delivery_id)
    return wrong


def _apply(content: bytearray, write: Write) -> None:
    if write.data is None:
        del content[write.at :]
        return
    if len(content) < write.at:
        content.extend(bytes(write.at - len(content)))
    content[write.at : write.at + len(write.data)] = write.data


def _name(rest: str) -> str:
    found = _FILE.match(rest)
    return _bytes(found[1]).decode(errors="replace") if found else ""


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()
