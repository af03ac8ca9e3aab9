"""What browser tests start from: one Chromium for all, and a gateway with simulated services for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.browser.screen import Screen, open_browser
from tests.browser.stage import Stage


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    driver = open_browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A gateway without sources and connections, and the simulated services."""
    opened = Stage(tmp_path)
    try:
        opened.start()
        yield opened
    finally:
        opened.stop()


@pytest.fixture
def screen(browser: webdriver.Chrome, stage: Stage) -> Iterator[Screen]:
    """A browser without cookies. At the end nothing may have been blocked, have failed or be missing."""
    opened = Screen(browser, stage.url)
    opened.forget()
    yield opened
    opened.listen()
    browser.get("about:blank")
    assert opened.complaints == []
