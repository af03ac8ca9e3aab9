"""The dependency locks: they hold what pyproject.toml asks for, and nothing about where it comes from."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[0-9][0-9a-z.+!]*)(?: ; (?P<marker>[\w.'() =<>!]+))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?P<more> \\)?")


def lines(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def pins(name: str) -> dict[str, str]:
    found = [PIN.fullmatch(line) for line in lines(name)]
    return {match["name"]: match["version"] for match in found if match}


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted(name: str) -> list[Requirement]:
    """What each file is for, said again here and not taken from the script that writes it."""
    project = pyproject()
    extras = project["project"]["optional-dependencies"]
    texts = [*project["project"]["dependencies"], *extras["postgres"], *project["build-system"]["requires"]]
    if name == "requirements-dev.lock":
        texts += [*extras["testing"], *project["dependency-groups"]["dev"]]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_line_is_a_comment_a_pin_or_a_hash_so_there_is_no_url_path_or_index(name: str) -> None:
    body = [line for line in lines(name) if not line.startswith("#")]
    assert body
    assert [line for line in body if not PIN.fullmatch(line) and not HASH.fullmatch(line)] == []
    comments = [line for line in lines(name) if line.startswith("#")]
    assert [line for line in comments if "/" in line or "://" in line] == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_at_least_one_hash(name: str) -> None:
    body = [line for line in lines(name) if not line.startswith("#")]
    bare = [
        line for line, after in zip(body, [*body[1:], ""], strict=True) if PIN.match(line) and not HASH.match(after)
    ]
    assert bare == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_requirement_is_pinned_to_a_version_in_its_range(name: str) -> None:
    pinned = pins(name)
    wrong = [
        str(requirement)
        for requirement in wanted(name)
        if Version(pinned.get(canonicalize_name(requirement.name), "0")) not in requirement.specifier
    ]
    assert wrong == [], "run `make lock`"


def test_what_runs_is_what_was_tested() -> None:
    tested = pins("requirements-dev.lock")
    assert {name: version for name, version in pins("requirements.lock").items() if tested.get(name) != version} == {}
