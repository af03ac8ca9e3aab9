"""How the site is built from the pages, which stay plain Markdown for the forge: `make docs`."""

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
START = "README"
DECISIONS = "docs/decisions/README"

PAGES: dict[str, list[str]] = {
    "Begin": ["docs/quickstart", "docs/limits"],
    "Use": [
        "docs/console", "docs/cli", "docs/api", "docs/matching", "docs/invoices", "docs/payment-links", "docs/payments",
    ],
    "Platforms": ["docs/sources", "docs/flexprice", "docs/tithely"],
    "Ledgers": ["docs/nomod", "docs/quickbooks"],
    "Operate": [
        "docs/operate", "deploy/README", "docs/configuration", "docs/postgresql", "docs/metrics", "docs/logs",
        "docs/tracing", "docs/alerts", "docs/performance",
    ],
    "When something stops": ["docs/runbook", "docs/errors"],
    "Why it can be trusted": ["docs/reliability", "docs/mutants", "docs/security"],
    "How it is built": ["docs/architecture", "docs/decisions/README"],
    "Write for it": [
        "docs/connectors", "docs/connector-quality", "examples/ledgergate-xero/README",
        "examples/ledgergate-xero/docs/xero", "docs/development",
    ],
    "More": ["docs/README", "CHANGELOG"],
}  # fmt: skip
"""The pages in the order of the sidebar. One that is missing here is a warning, and a warning ends the build."""

project = "ledgergate"
author = "the maintainers of ledgergate"
extensions = ["myst_parser"]
root_doc = START
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "deploy/README.md",
    "examples/*/README.md",
    "examples/*/docs/*.md",
    "docs/*.md",
    "docs/decisions/*.md",
]
exclude_patterns = [".*", "build", "tests", "gateway", "connectors", "storage", "bench*", "tools"]
nitpicky = True
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = [
    "myst.header",  # a page may begin below its title's level
    "misc.highlighting_failure",  # an example may leave out what is said elsewhere, with an ellipsis
]

html_theme = "furo"
html_title = "ledgergate"
html_copy_source = False
html_show_sphinx = False
html_permalinks = True
html_last_updated_fmt = ""


def add_sidebar(_: Sphinx, name: str, source: list[str]) -> None:
    """Put the sidebar behind the start page's text: on the forge nobody sees it."""
    if name == START:
        source[0] += "".join(_tree(pages, caption=caption) for caption, pages in PAGES.items())
    if name == DECISIONS:
        source[0] += _tree(
            [f"docs/decisions/{path.stem}" for path in sorted((ROOT / DECISIONS).parent.glob("0*.md"))],
            caption="Decisions",
        )


def _tree(pages: list[str], *, caption: str) -> str:
    return "\n".join(
        ["\n\n```{toctree}", ":hidden:", f":caption: {caption}", "", *(f"/{page}" for page in pages), "```\n"]
    )


def finish(app: Sphinx, error: Exception | None) -> None:
    """Lead from the site's root to the start page, and bring the pictures that raw HTML names."""
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    (out / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>{project}</title>'
        f'<meta http-equiv="refresh" content="0;url={START}.html"><a href="{START}.html">{project}</a>\n',
        "utf-8",
    )
    shutil.copytree(ROOT / "docs/images", out / "docs/images", dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what is above."""
    app.connect("source-read", add_sidebar)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
