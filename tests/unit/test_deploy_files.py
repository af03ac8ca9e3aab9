"""The files for systemd and containers: what they name exists, and nothing in them is looser than it says."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import PREFIX, Settings
from tests.command_lines import problem, words

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD, CONTAINER = ROOT / "deploy/systemd", ROOT / "deploy/container"
INSTALLED = "/opt/ledgergate"
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
CONTAINERFILE = (CONTAINER / "Containerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((CONTAINER / "compose.yaml").read_text("utf-8"))
UNITS = sorted(path for path in SYSTEMD.iterdir() if path.suffix in {".service", ".timer"})


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit's sections; a key may stand more than once."""
    parser = configparser.RawConfigParser(strict=True, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # the documented way to keep capitals
    text, counted = [], 0
    for line in path.read_text("utf-8").splitlines():
        repeated = re.match(r"(SystemCallFilter)=", line)
        counted += bool(repeated)
        text.append(re.sub(r"^(\w+)=", rf"\1#{counted}=", line) if repeated else line)
    parser.read_string("\n".join(text))
    told: dict[str, dict[str, list[str]]] = {}
    for section in parser.sections():
        for key, value in parser.items(section):
            told.setdefault(section, {}).setdefault(key.partition("#")[0], []).append(value)
    return told


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_names_what_exists(path: Path) -> None:
    found = unit(path)
    for url in found["Unit"].get("Documentation", []):
        assert (ROOT / url.removeprefix(f"file://{INSTALLED}/")).is_file()
    if path.suffix == ".service":
        (start,) = found["Service"]["ExecStart"]
        run = re.search(rf"{INSTALLED}/\.venv/bin/ledgergate ([^']+)", start)
        assert run
        assert problem(words(run[1])) is None
    else:
        assert path.with_suffix(".service").is_file()


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_service_runs_as_the_account_that_is_made_where_the_database_is(path: Path) -> None:
    service = unit(path)["Service"]
    (account,) = re.findall(r"^u (\S+) - \S+ (\S+)$", (SYSTEMD / "sysusers.conf").read_text("utf-8"), re.MULTILINE)
    assert service["User"] == service["Group"] == [account[0]]
    assert service["WorkingDirectory"] == [account[1]] == [f"/var/lib/{service['StateDirectory'][0].split()[0]}"]
    assert service["UMask"] == ["0077"]


def test_a_stop_has_more_time_than_the_gateway_takes() -> None:
    """10 seconds for the worker's jobs, 5 for the answers, and some for the rest."""
    (seconds,) = unit(SYSTEMD / "ledgergate.service")["Service"]["TimeoutStopSec"]
    assert int(seconds) >= 30


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on PATH")
def test_systemd_takes_the_units_and_rates_the_service_as_closed(tmp_path: Path) -> None:
    """Verified with a program that is there: this machine need not have an installation."""
    program = shutil.which("true") or "/bin/true"
    for path in UNITS:
        text = path.read_text("utf-8").replace(f"{INSTALLED}/.venv/bin/ledgergate", program)
        (tmp_path / path.name).write_text(text, "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *[str(tmp_path / path.name) for path in UNITS]]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in verified.stderr.splitlines() if "ledgergate" in line]
    assert (verified.returncode, told) == (0, [])
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(tmp_path / "ledgergate.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Failed to" not in rated.stderr:  # older versions know no --offline
        assert rated.returncode == 0, rated.stdout.splitlines()[-1]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of the container file, by stage."""
    found: list[list[tuple[str, str]]] = []
    lines = "\n".join(line for line in CONTAINERFILE.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    for line in filter(None, map(str.strip, lines.splitlines())):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest.strip()))
    return found


def test_the_container_copies_what_exists_and_installs_from_the_lock_with_hashes() -> None:
    build = stages()[0]
    for name, rest in build:
        if name == "COPY":
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources), rest
    assert any("--require-hashes -r requirements.lock" in rest for name, rest in build if name == "RUN")
    assert all("--no-deps" in rest for name, rest in build if name == "RUN" and "install" in rest and " ." in rest)


def test_the_wheel_that_the_container_installs_needs_nothing_that_is_not_copied() -> None:
    """Hatchling reads these files of pyproject.toml; without them the build ends."""
    copied = {word for name, rest in stages()[0] if name == "COPY" for word in rest.split()[:-1]}
    assert {"pyproject.toml", "README.md", "LICENSE", "gateway/", "connectors/", "storage/"} <= copied


def test_the_container_runs_without_rights_and_with_known_settings_and_commands() -> None:
    last = stages()[-1]
    told = {name: rest for name, rest in last if name in {"USER", "ENTRYPOINT", "CMD", "STOPSIGNAL"}}
    assert int(told["USER"].partition(":")[0]) > 0
    assert told["STOPSIGNAL"] == "SIGTERM"
    assert yaml.safe_load(told["ENTRYPOINT"]) == ["ledgergate"]
    assert problem(yaml.safe_load(told["CMD"])) is None
    (environment,) = [rest for name, rest in last if name == "ENV"]
    named = {word.partition("=")[0] for word in environment.split() if word.startswith(PREFIX)}
    assert named
    assert named <= SETTINGS


def test_no_image_is_of_a_registry_that_somebody_else_has_chosen() -> None:
    images = [*re.findall(r"^ARG PYTHON=(\S+)", CONTAINERFILE, re.MULTILINE)]
    images += [service["image"] for service in COMPOSE["services"].values()]
    assert images
    assert [image for image in images if "/" in image] == []


def test_compose_names_files_settings_and_commands_that_exist() -> None:
    for name, service in COMPOSE["services"].items():
        if "build" in service:
            context = (CONTAINER / service["build"]["context"]).resolve()
            assert context == ROOT
            assert (context / service["build"]["dockerfile"]).is_file()
            assert set(service["environment"]) <= SETTINGS, name
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:")  # TLS stands before it
    text = (CONTAINER / "compose.yaml").read_text("utf-8")
    shown = re.findall(r"exec gateway ledgergate (.+)$", text, re.MULTILINE)
    assert shown
    assert [told for line in shown if (told := problem(words(line)))] == []


def test_whatever_compose_asks_for_is_in_the_example_and_holds_no_value_of_ours() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (CONTAINER / "compose.yaml").read_text("utf-8")))
    example = (CONTAINER / "env.example").read_text("utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert set(given) == asked
    assert {name for name, value in given.items() if value} == {"LEDGERGATE_PUBLIC_URL"}
