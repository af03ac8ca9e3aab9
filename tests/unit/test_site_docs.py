"""The check of the built site finds what it is for: `make docs` builds the site itself."""

from pathlib import Path

import pytest

from tests.unit.test_docs import pages
from tools.site.build import findings
from tools.site.conf import DECISIONS, PAGES, ROOT, START

GOOD = (
    '<h1 id="a">A</h1><a href="other.html#b">b</a><a href="#a">a</a><a href="https://example.org">out</a>'
    '<img src="x.png">'
)


def test_every_page_is_in_the_sidebar_once_and_none_is_there_that_is_gone() -> None:
    """Else the build ends with a warning; this says so sooner."""
    there = {str(page.relative_to(ROOT).with_suffix("")) for page in pages()}
    listed = [name for names in PAGES.values() for name in names]
    folder = DECISIONS.removesuffix("README")
    assert sorted(listed) == sorted({name for name in there if not name.startswith(folder)} - {START} | {DECISIONS})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A site of two pages without fault."""
    (tmp_path / "index.html").write_text(GOOD, "utf-8")
    (tmp_path / "other.html").write_text('<h2 id="b">B</h2>', "utf-8")
    (tmp_path / "x.png").write_bytes(b"")
    return tmp_path


def test_a_site_without_fault_passes(out: Path) -> None:
    assert list(findings(out)) == []


@pytest.mark.parametrize(
    "html,told",
    [
        ('<a href="gone.html">x</a>', "leads to gone.html, which is not there"),
        ('<a href="other.html#gone">x</a>', "leads to other.html#gone, and there is no such heading"),
        ('<img src="gone.png">', "loads gone.png, which is not there"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', "loads //cdn.example/x.css"),
    ],
)
def test_a_fault_is_found(out: Path, html: str, told: str) -> None:
    (out / "index.html").write_text(GOOD + html, "utf-8")
    assert list(findings(out)) == [f"index.html {told}"]
