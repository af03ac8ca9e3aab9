"""The projects that `connector new` writes: in style, and passing their own tests from the first minute."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.testing.quality import read_quality
from connectors.testing.rulebook import Tier
from gateway.scaffold import Kind, Project, new_project

ROOT = Path(__file__).resolve().parents[2]
SELECTED = "E,F,W,I,B,UP,N,ASYNC,S,SIM,RET,PT,RUF"


@pytest.fixture(params=Kind)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project of each kind, under a name of two words."""
    return new_project("tally_box", kind=request.param, parent=tmp_path)


def run(project: Project, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a tool on the project."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=project.directory, env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_nothing_of_the_template_is_left_in_it(project: Project) -> None:
    for path in project.files:
        text = path.read_text("utf-8")
        assert re.search(r"@(name|NAME|module|dist|Class|Title|version)@", text) is None
        assert "acme" not in text.lower()


def test_it_is_in_style(project: Project) -> None:
    style = ["ruff", "check", "--isolated", "--line-length=120", "--target-version=py311", f"--select={SELECTED}"]
    ignored = "--ignore=S101,RUF002,SIM105"
    done = run(project, *style, ignored, "--no-cache", "src", "tests")
    assert done.returncode == 0, done.stdout


def test_a_source_passes_its_own_tests(tmp_path: Path) -> None:
    """The connector does so in the tutorial, where it is installed."""
    project = new_project("tally_box", kind=Kind.SOURCE, parent=tmp_path)
    plugins = "-p pytest_asyncio.plugin -p pytest_aiohttp.plugin -p no:cacheprovider"
    done = run(project, "pytest", "-q", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=plugins)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_connector_starts_as_gold(tmp_path: Path) -> None:
    project = new_project("acme", parent=tmp_path)
    (file,) = (path for path in project.files if path.name == "quality.toml")
    assert read_quality(file.read_text("utf-8")).tier is Tier.GOLD
