"""A real browser as a person uses it: pages, labels and buttons by their words; and what every page must keep to."""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.harness import ADMIN_KEY

PATIENCE = 15.0
WIDTH, HEIGHT = 1280, 900
NARROW = 360
CHECKS = Path(__file__).with_name("checks.js").read_text("utf-8")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--force-device-scale-factor=1", "--hide-scrollbars",
    # One process for all pages, which are ours; nothing is prepared for a page that may come, none is kept that went.
    "--renderer-process-limit=1", "--disable-site-isolation-trials", "--in-process-gpu",
    "--disable-features=SpareRendererForSitePerProcess,BackForwardCache,IsolateOrigins,site-per-process",
)  # fmt: skip


def open_browser(profile: Path) -> webdriver.Chrome:
    """Start a headless Chromium with a profile of its own."""
    options = Options()
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={WIDTH},{HEIGHT}"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or "chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))


class Screen:
    """One browser, at one gateway. Every page that is looked at is checked; see checks.js."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url
        self.complaints: list[str] = []
        """What the browser's console had to say: blocked code, errors, files that are missing."""

    # Pages -------------------------------------------------------------------------------------------------------

    def open(self, path: str = "") -> None:
        """Go to a page of the console."""
        self.driver.get(f"{self.url}/console{path}")
        self.listen()

    def log_in(self, key: str = ADMIN_KEY) -> None:
        """Log in, from whatever page."""
        self.open("/login")
        self.fill("API key", key)
        self.press("Log in")

    @property
    def heading(self) -> str:
        """The page's first heading."""
        return self._steady(lambda: self.driver.find_element(By.TAG_NAME, "h1").text)

    @property
    def text(self) -> str:
        """What stands on the page."""
        return self._steady(lambda: self.driver.find_element(By.TAG_NAME, "body").text)

    @property
    def path(self) -> str:
        """Where in the console we are."""
        return self.driver.current_url.removeprefix(f"{self.url}/console")

    def sees(self, *words: str) -> None:
        """Wait until all these words stand on the page."""
        self.until(lambda: all(each in self.text for each in words), f"{words} on {self.path}")

    def arrives(self, place: str) -> None:
        """Wait until the page is one whose path begins so: that also works where scripts are switched off."""
        self.until(lambda: self.path.startswith(place), f"the page {place}")

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what} in vain: {self.text[:1500]}"
            time.sleep(0.05)

    # Doing -------------------------------------------------------------------------------------------------------

    def press(self, name: str) -> None:
        """Press the button, or follow the link, of this name, and wait for the page that comes."""
        element = self.named("button, a", name)
        before = self.driver.find_element(By.TAG_NAME, "html")
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.until(lambda: self._is_gone(before), f"another page after {name!r}")
        self.listen()

    def click(self, name: str) -> None:
        """Click something of this name that leads to no other page."""
        element = self.named("button, summary", name)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def fill(self, label: str, value: str) -> None:
        """Type into the field of this label; choose, where it is a choice."""
        field = self.field(label)
        if field.tag_name == "select":
            field.find_element(By.XPATH, f".//option[contains(normalize-space(.), {json.dumps(value)})]").click()
            return
        field.clear()
        field.send_keys(value)

    def field(self, label: str) -> WebElement:
        """Return the field of this label."""
        found: WebElement | None = self.driver.execute_script(CHECKS + "; return field(arguments[0]);", label)
        assert found is not None, f"no field {label!r} on {self.path}"
        return found

    def named(self, selector: str, name: str) -> WebElement:
        """Return the first that is shown and has this accessible name, or begins with it."""
        found: WebElement | None = self.driver.execute_script(CHECKS + "; return find(...arguments);", selector, name)
        assert found is not None, f"no {selector} named {name!r} on {self.path}: {self.text[:800]}"
        return found

    def keys(self, *pressed: str) -> None:
        """Press keys, wherever the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*pressed).perform()

    def tab(self) -> dict[str, Any]:
        """Press Tab; return what has the focus now, and whether that shows."""
        self.keys(Keys.TAB)
        found: dict[str, Any] = self.driver.execute_script(CHECKS + "; return focused();")
        return found

    # Looking closely ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check the page that is shown: what a screen reader, a keyboard and weak eyes need. Raises AssertionError."""
        self.listen()
        problems = self.driver.execute_script(CHECKS + "; return problems();")
        assert problems == [], f"{self.path}: " + "; ".join(problems)

    def check_both_schemes(self) -> None:
        """Check the page as it is in the dark, and then in the light."""
        for scheme in ("dark", "light"):
            self.prefer(scheme)
            self.check()

    def check_narrow(self) -> None:
        """Check that a narrow window needs no scrolling from side to side."""
        with self.window(NARROW, 800):
            wide = self.driver.execute_script("return document.scrollingElement.scrollWidth")
            assert wide <= NARROW, f"{self.path} is {wide} wide"

    @contextlib.contextmanager
    def window(self, width: int, height: int) -> Iterator[None]:
        """Have another size for a while."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def prefer(self, scheme: str) -> None:
        """Prefer `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def without_script(self, *, off: bool) -> None:
        """Switch the pages' scripts off, or on again."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": off})

    def listen(self) -> list[str]:
        """Take up what the browser's console has said since, and return all complaints."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        for entry in entries:
            if entry["level"] in ("SEVERE", "WARNING") or "Content Security Policy" in entry["message"]:
                self.complaints.append(entry["message"])
        return self.complaints

    def forget(self) -> None:
        """Begin anew: no cookies, no complaints, the usual window."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.prefer("light")
        self.listen()
        self.complaints.clear()

    @staticmethod
    def _is_gone(element: WebElement) -> bool:
        try:
            element.is_enabled()
        except WebDriverException:
            return True
        return False

    def _steady(self, look: Callable[[], str]) -> str:
        """Look again where a live part was replaced in between."""
        for _ in range(20):
            with contextlib.suppress(StaleElementReferenceException, NoSuchElementException):
                return look()
            time.sleep(0.02)
        return look()
