"""The rules of conftest.py: seeds repeat, a missing browser fails where CI says so, what takes too long ends."""

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


ENDLESS = """
import asyncio, subprocess, sys, time
import pytest

pytestmark = pytest.mark.timeout(1)

async def test_task():
    await asyncio.sleep(600)

def test_sleep():
    time.sleep(600)

def test_process():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])

def test_loop():
    asyncio.run(asyncio.sleep(600))

def test_after():
    pass
"""


def run(folder: Path, tests: str = INNER, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the inner tests with the plugins that our settings name, and no others."""
    inner = folder / "test_inner.py"
    inner.write_text(tests, encoding="utf-8")
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


def test_what_takes_too_long_fails_alone_and_says_where_it_waited(tmp_path: Path) -> None:
    """The process goes on: pytest-xdist may wait for ever for what a worker has left that has died."""
    done = run(tmp_path, ENDLESS)
    assert done.returncode == 1
    assert "4 failed, 1 passed" in done.stdout
    for name in ("test_task", "test_sleep", "test_process", "test_loop"):
        assert f"{name} has not ended in 1 seconds" in done.stderr
    assert "in test_sleep" in done.stderr
