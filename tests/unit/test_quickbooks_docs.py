"""The page about QuickBooks says what the code does: every setting with its default, and the names as they are made."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from connectors import Customer, errors
from connectors.quickbooks import QuickBooksConfig
from connectors.quickbooks.customers import draft_of
from connectors.quickbooks.names import names_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quickbooks.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


SETTINGS = {cells[0].strip("`"): cells for cells in rows("Every setting")}


def test_every_setting_is_described_in_its_order() -> None:
    assert list(SETTINGS) == list(QuickBooksConfig.model_fields)


@pytest.mark.parametrize("name", QuickBooksConfig.model_fields)
def test_a_setting_has_its_description_and_its_default(name: str) -> None:
    field = QuickBooksConfig.model_fields[name]
    _, default, meaning = SETTINGS[name]
    assert field.description
    assert len(meaning) > 20
    if field.default is PydanticUndefined:
        assert default == "needed"
    elif field.default not in ("", None):
        shown = list(field.default) if isinstance(field.default, tuple) else field.default
        written = str(shown).lower() if isinstance(shown, bool) else str(shown)
        assert default.strip("`") == written.replace(".0", "")


@pytest.mark.parametrize("cells", rows("Names"))
def test_the_examples_of_names_are_what_is_sent(cells: list[str]) -> None:
    first, last, whole, company, email, given, family, company_name, display = cells
    customer = Customer(
        source="s", platform="p", environment_id="e", customer_id="c", given_name=first, family_name=last, name=whole,
        company_name=company, email=email,
    )  # fmt: skip
    body: dict[str, Any] = dict(draft_of(customer, names_of(customer), variant=0, with_currency=False).body)
    sent = [body.get(key, "") for key in ("GivenName", "FamilyName", "CompanyName", "DisplayName")]
    assert sent == [given, family, company_name, display]


def test_the_examples_of_taken_names_are_what_is_tried() -> None:
    names = names_of(
        Customer(
            source="tithely-main", platform="tithely", environment_id="e", customer_id="user_7", given_name="John",
            family_name="Doe",
        )
    )  # fmt: skip
    assert [cells[1].strip("`") for cells in rows("When a name is taken")] == list(names.displays())


def test_every_error_code_on_the_page_exists() -> None:
    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    named = {"needs_reauth", "account_blocked", "configuration_invalid", "lookup_impossible", "missing_required_fields"}
    assert named <= codes
    assert all(f"`{code}`" in PAGE for code in named)
