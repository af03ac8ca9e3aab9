"""The rules of conftest.py: seeds are printed and repeatable, and a missing browser is a failure where CI says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INNER = """
import os
import pytest

@pytest.mark.browser
def test_browser():
    pass

def test_environment():
    assert [name for name in os.environ if name.startswith("LEDGERGATE_")] == []

def test_random(rng):
    print("drawn:", rng.random())
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the inner tests with the plugins that our settings name, and no others."""
    inner = folder / "test_inner.py"
    inner.write_text(INNER, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEDGERGATE_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider"]
    for plugin in ("pytest_asyncio.plugin", "pytest_timeout", "tests.conftest"):
        command += ["-p", plugin]
    return subprocess.run(
        [*command, "-s", inner],
        cwd=ROOT,
        env={**clean, "PATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run without a browser and without a seed of ours."""
    return run(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run where a browser is required, with another seed."""
    return run(tmp_path_factory.mktemp("required"), LEDGERGATE_REQUIRE_BROWSER="1", LEDGERGATE_TEST_SEED="5")


def drawn(output: str) -> str:
    return next(line for line in output.splitlines() if "drawn:" in line)


def test_without_a_browser_its_tests_are_skipped_with_the_reason(first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stdout
    assert "2 passed, 1 skipped" in first.stdout
    assert "no chromium and no chromedriver on PATH" in first.stdout


def test_without_a_browser_its_tests_fail_where_one_is_required(required: subprocess.CompletedProcess[str]) -> None:
    assert required.returncode == 1
    assert "no chromium and no chromedriver on PATH, and LEDGERGATE_REQUIRE_BROWSER is set" in required.stdout
    assert "2 passed, 1 error" in required.stdout or "1 failed, 2 passed" in required.stdout


def test_the_printed_seed_draws_the_same_numbers_again(
    tmp_path: Path, first: subprocess.CompletedProcess[str], required: subprocess.CompletedProcess[str]
) -> None:
    seed = first.stdout.split("LEDGERGATE_TEST_SEED=")[1].split()[0]
    assert drawn(run(tmp_path, LEDGERGATE_TEST_SEED=seed).stdout) == drawn(first.stdout)
    assert drawn(required.stdout) != drawn(first.stdout)
