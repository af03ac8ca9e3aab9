"""docs/errors.md is what the error classes say, and every error can be acted upon."""

from gateway.errors import catalogue
from tools.errors_page import PAGE, page


def test_the_page_is_current() -> None:
    """A changed class without `python -m tools.errors_page` fails here."""
    assert PAGE.read_text("utf-8") == page()


def test_every_error_says_what_to_do() -> None:
    """Each has its own code, a cause and a resolution."""
    page()
    entries = catalogue()
    assert len({entry.code for entry in entries}) == len(entries) > 30
    assert all(entry.cause.endswith(".") and entry.resolution for entry in entries)


def test_the_specification_s_five_errors_are_there() -> None:
    """Customer not found, email exists, invalid email, missing fields, provider error."""
    page()
    codes = {entry.code for entry in catalogue()}
    wanted = {
        "customer_not_found",
        "email_already_exists",
        "invalid_email",
        "missing_required_fields",
        "provider_api_error",
    }
    assert wanted <= codes
