"""Writes docs/errors.md from the error classes; `--check` fails when the page is not what it would write."""

import argparse
import importlib
from pathlib import Path

from gateway.errors.catalogue import ErrorEntry, catalogue

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
HEAD = """# Errors

Made from the error classes by `python -m tools.errors_page`. Do not edit: change the class.

A code is stable and for machines; it stands in the API's problem documents, in attempts, in logs, on the command line
and in the console. *What happens* is what the gateway does by itself: `retry` on the schedule, `pause` the connection
while its jobs wait, `fail` the job until a person retries it, `review` puts the question before a person, `none`
concerns only the request that met it. *Written?* says whether something may have been created at the provider all the
same. The link of a code leads to the [runbook](runbook.md): the commands to run about it.

The five errors of the product's specification are among them: customer not found (`customer_not_found`), email already
exists (`email_already_exists`), invalid email format (`invalid_email`), missing required fields
(`missing_required_fields`) and the provider's API error (`provider_api_error`).

| code | what happens | written? | cause | what to do |
|---|---|---|---|---|
"""


def entries() -> list[ErrorEntry]:
    """Return every error, with those that only a plugin or a page of the gateway raises."""
    for module in (
        "connectors.nomod",
        "connectors.quickbooks",
        "gateway.app",
        "gateway.sources.tithely",
        "storage.cursors",
    ):
        importlib.import_module(module)
    return catalogue()


def page() -> str:
    """Return the page as it must be."""
    lines = [
        f"| [`{entry.code}`](runbook.md#{entry.code}) | {entry.action} "
        f"| {'perhaps' if entry.may_have_written else 'no'} | **{entry.title}.** {entry.cause} | {entry.resolution} |"
        for entry in entries()
    ]
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    wanted = page()
    if parser.parse_args().check:
        return 0 if PAGE.exists() and PAGE.read_text("utf-8") == wanted else 1
    PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
