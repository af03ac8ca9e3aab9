"""What a person waits for: the console's pages from a running gateway, over a store that holds years."""

import re
import statistics
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from pathlib import Path

from bench import past
from bench.ours import Installation
from bench.questions import Size

TIMES = 12
_TOKEN = re.compile(r'name="_token" value="([^"]+)"')


def pages(size: Size) -> Mapping[str, str]:
    """Return paths by what they show."""
    a_customer, a_delivery = past.customer(size.anybody()), past.delivery_id(size.any_kept())
    return {
        "overview": "",
        "overview of a week": "?span=7d",
        "deliveries": "/deliveries",
        "deliveries, ignored, of a month": "/deliveries?status=ignored&period=30d",
        "one delivery": f"/deliveries/{a_delivery}",
        "jobs": "/jobs",
        "customers": "/customers",
        "one customer": f"/customers/{a_customer}",
        "search for a customer": f"/search?q={a_customer}",
        "what needs a person": "/needs",
        "alerts": "/alerts",
    }


def measure(folder: Path, database: str, size: Size) -> dict[str, float]:
    """Return what it takes: seconds until a gateway on this database answers, MiB, milliseconds for each page."""
    installation = Installation(folder, database=database)
    with installation.server(work=False) as server:
        started = server.wait_for(lambda: server.get("/readyz")[0] == 200)
        browser = Browser(f"http://127.0.0.1:{server.port}/console")
        browser.log_in(installation.admin_key)
        figures = {"start until ready, s": started}
        for what, path in pages(size).items():
            taken = []
            for _ in range(TIMES):
                began = time.perf_counter()
                browser.get(path)
                taken.append((time.perf_counter() - began) * 1000)
            figures[f"page: {what}"] = statistics.median(taken)
        figures["memory after the pages, MiB"] = server.memory()
    return figures


class Browser:
    """Keeps cookies; nothing else that a browser does."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        """Return a page. Raises HTTPError when its status is an error's."""
        with self._opener.open(self._root + path, timeout=120) as answer:
            text: str = answer.read().decode()
            return text

    def log_in(self, key: str) -> None:
        """Log in. Raises HTTPError when the key is refused."""
        found = _TOKEN.search(self.get("/login"))
        assert found is not None, "the login has no form"
        form = urllib.parse.urlencode({"_token": found[1], "key": key}).encode()
        with self._opener.open(f"{self._root}/login", data=form, timeout=30) as answer:
            answer.read()
