"""Each platform and each connector has a page, and each of these says all that somebody who connects it has to know."""

import re
from pathlib import Path

import pytest

from gateway.plugins import connector_plugins, source_plugins

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"flexprice": "flexprice.md", "tirdad": "flexprice.md", "tithely": "tithely.md", "nomod": "nomod.md",
         "quickbooks": "quickbooks.md"}  # fmt: skip
SAYS = ["What you need", "What is read and written", "Limits", "Traps", "Removal"]
WHO = {"flexprice.md": "Who is meant", "tithely.md": "Who gave", "nomod.md": "Matching",
       "quickbooks.md": "Who is taken to be the same"}  # fmt: skip


def test_every_platform_and_connector_of_ours_has_a_page() -> None:
    ours = {
        name
        for plugins in (source_plugins(), connector_plugins())
        for name in plugins.names()
        if plugins.load(name).__module__.startswith(("gateway.", "connectors."))
    }
    assert ours == set(PAGES)


@pytest.mark.parametrize("page", sorted(set(PAGES.values())))
def test_a_page_says_all_that_one_has_to_know(page: str) -> None:
    headings = re.findall(r"^## (.+)$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    assert [heading for heading in [*SAYS, WHO[page]] if heading not in headings] == []
