"""Builds the documentation as a site into build/site, and checks what was built. A warning of any kind is a failure.

`make docs` runs it. The site is files only: it can be opened where it lies, or put on any web server. Nothing in it is
loaded from elsewhere.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "site"
LOADS = {("script", "src"), ("img", "src"), ("source", "srcset"), ("iframe", "src"), ("link", "href")}
"""What a browser loads by itself."""


@dataclass
class Page(HTMLParser):
    """What one page names: the anchors that it has, where it leads, what it loads."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to parse."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if (tag, name) in LOADS and value:
                self.loads.append(value)
            elif tag == "a" and name == "href" and value:
                self.links.append(value)

    __hash__ = HTMLParser.__hash__


def read(path: Path) -> Page:
    """Return what a page names."""
    page = Page()
    page.feed(path.read_text("utf-8"))
    return page


def findings(out: Path) -> Iterator[str]:
    """Return what is wrong with a built site: links to nowhere, and what is loaded from elsewhere."""
    pages = {path.resolve(): read(path) for path in sorted(out.rglob("*.html"))}
    for path, page in pages.items():
        name = str(path.relative_to(out.resolve()))
        for url in page.loads:
            if urlsplit(url).scheme not in ("", "data") or urlsplit(url).netloc:
                yield f"{name} loads {url}"
            elif not urlsplit(url).scheme and not _target(path, url).is_file():
                yield f"{name} loads {url}, which is not there"
        for url in page.links:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = _target(path, url)
            if not target.exists():
                yield f"{name} leads to {url}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name} leads to {url}, and there is no such heading"


def _target(page: Path, url: str) -> Path:
    path = unquote(urlsplit(url).path)
    return (page.parent / path).resolve() if path else page


def build(out: Path) -> int:
    """Build the site; return the exit code."""
    from sphinx.cmd.build import main as sphinx  # noqa: PLC0415 - only where a site is built

    shutil.rmtree(out, ignore_errors=True)  # what was built before would hide its warnings, and pages that are gone
    strict = ["-b", "html", "-q", "-W", "--keep-going", "-n", "-j", "2"]
    return sphinx([*strict, "-c", str(Path(__file__).parent), str(ROOT), str(out)])


def main() -> int:
    """Build and check."""
    code = build(OUT)
    found = list(findings(OUT)) if code == 0 else []
    for line in found:
        sys.stderr.write(f"{line}\n")
    if code == 0 and not found:
        sys.stdout.write(f"{OUT.relative_to(Path.cwd()) if OUT.is_relative_to(Path.cwd()) else OUT}/index.html\n")
    return code or int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
