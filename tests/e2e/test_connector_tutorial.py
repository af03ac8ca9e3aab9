"""The tutorial of docs/connectors.md, followed to the letter: every command in it is run, and must end well."""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.testing.ports import ReservedPort
from tests.e2e.places import ROOT, Place

pytestmark = pytest.mark.timeout(600)  # what installs and starts processes
PAGE = (ROOT / "docs" / "connectors.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORTS = ("8080", "9911")
PATIENCE = 60.0


@dataclass
class Reader:
    """Somebody at a shell who does what the page says. `ports` stand for those of the page, which may be in use."""

    place: Place
    folder: Path
    ports: dict[str, str]
    exported: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def follow(self) -> None:
        """Go through the page's blocks in order: files are written, commands run."""
        for kind, name, text in BLOCK.findall(PAGE):
            if name:
                (self.folder / name).write_text(self.here(text), "utf-8")
            elif kind == "console":
                for line in text.splitlines():
                    assert line.startswith("$ "), f"the page shows output that nobody checks: {line}"
                    self.type(self.here(line.removeprefix("$ ")))

    def here(self, text: str) -> str:
        """Return a text of the page with the ports that are free on this machine."""
        for port, free in self.ports.items():
            text = text.replace(port, free)
        return text

    def type(self, command: str) -> None:
        """Run one command."""
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
        elif command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.exported[name] = value
        elif command.endswith(" &"):
            self.start(command.removesuffix(" &"))
        else:
            self.outputs[command] = self.place.run("sh", "-c", command, cwd=self.folder, **self.environment()).stdout

    def start(self, command: str) -> None:
        """Start a command that goes on running, and wait until it listens."""
        environment = self.place.environment(**self.environment())
        shell = ["sh", "-c", f"exec {command}"]
        quiet = subprocess.DEVNULL
        self.running.append(subprocess.Popen(shell, cwd=self.folder, env=environment, stdout=quiet, stderr=quiet))
        port = next((free for free in self.ports.values() if free in command), self.ports["8080"])
        until = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                    return
            assert self.running[-1].poll() is None, f"{command} has ended"
            assert time.monotonic() < until, f"{command} does not listen"
            time.sleep(0.05)

    def environment(self) -> dict[str, str]:
        return {**self.exported, "LEDGERGATE_PORT": self.ports["8080"]}

    def stop(self) -> None:
        """Stop what still runs, the last first."""
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def reader(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has followed the page to its end."""
    held = {port: ReservedPort() for port in PORTS}
    ports = {port: str(free.number) for port, free in held.items()}
    reader = Reader(place, tmp_path_factory.mktemp("tutorial"), ports)
    try:
        reader.follow()
        yield reader
    finally:
        reader.stop()
        for free in held.values():
            free.release()


def test_the_project_passes_all_its_tests_as_it_was_written(reader: Reader) -> None:
    summary = reader.outputs["pytest"].splitlines()[-1]
    assert re.fullmatch(r"=+ \d+ passed in .* =+", summary)
    listed = next(out for command, out in reader.outputs.items() if command.startswith("ledgergate connector list"))
    assert re.search(r"^acme +Acme +0\.1\.0 +ledgergate-acme +ok +gold", listed, re.MULTILINE)


def test_the_webhook_has_created_one_customer(reader: Reader) -> None:
    until, told = time.monotonic() + PATIENCE, reader.outputs["ledgergate mapping list"]
    while "con_1" not in told:  # the page's own look may have come a moment too early
        assert time.monotonic() < until, told
        told = reader.place.run("ledgergate", "mapping", "list", cwd=reader.folder, **reader.environment()).stdout
    (line,) = (line for line in told.splitlines() if "con_" in line)
    assert {"church", "acme-sandbox", "con_1", "linked", "created"} <= set(line.split())


def test_every_part_of_the_page_that_can_be_run_was_run(reader: Reader) -> None:
    typed = [line for kind, _, text in BLOCK.findall(PAGE) if kind == "console" for line in text.splitlines()]
    assert len(typed) > 15
    assert all(process.poll() is None for process in reader.running)
    assert {"gateway.toml", "gift.json", "headers.txt"} <= {path.name for path in reader.folder.iterdir()}
