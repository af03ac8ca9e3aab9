"""docs/api.md is current."""

from tools import marked
from tools.api_page import PAGE, routes


def test_the_table_of_routes_is_current() -> None:
    """A changed route without `python -m tools.api_page` fails here."""
    assert PAGE.read_text("utf-8") == marked.filled(PAGE, {"routes": routes()})
