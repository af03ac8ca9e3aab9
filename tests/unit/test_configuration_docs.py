"""docs/configuration.md names every setting and every key, and its example is one that can be applied."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.configuration import rows
from gateway.configuration.files import read_file
from gateway.plugins import connector_plugins, source_plugins
from gateway.settings import PREFIX, Settings
from gateway.sources.signing import new_secret
from tools import marked
from tools.configuration_page import PAGE, SPECS, parts

PAGES = {"nomod": "nomod.md", "quickbooks": "quickbooks.md"}


def test_the_page_is_current() -> None:
    """A changed setting or key without `python -m tools.configuration_page` fails here."""
    assert PAGE.read_text("utf-8") == marked.filled(PAGE, parts())


def test_every_setting_and_key_says_what_it_means() -> None:
    models: list[type[BaseModel]] = [Settings, *SPECS.values()]
    for model in models:
        unexplained = [name for name, field in model.model_fields.items() if not field.description]
        assert unexplained == [], model.__name__


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_setting_is_in_the_table(name: str) -> None:
    assert f"| `{PREFIX}{name.upper()}` |" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("connector", sorted(PAGES))
def test_every_setting_of_a_connector_is_on_its_page(connector: str) -> None:
    page = (PAGE.parent / PAGES[connector]).read_text("utf-8")
    fields = connector_plugins().load(connector).config_model.model_fields
    assert [name for name in fields if f"`{name}`" not in page] == []


def test_the_example_can_be_applied(tmp_path: Path) -> None:
    """It names platforms, connectors and keys that there are, and holds no secret itself; all parts make one file."""
    example = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    file = tmp_path / "example.toml"
    file.write_text(example, "utf-8")
    assert "whsec_" not in example

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: resolve(item) for name, item in value.items()}
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if value == "env:ALERT_URL":
            return "https://ops.example/alerts"
        return new_secret() if isinstance(value, str) and value.startswith("env:") else value

    spec = read_file(file, resolve)
    assert [channel.kind for channel in spec.channels] == ["webhook", "email"]
    assert {source.platform for source in spec.sources} <= set(source_plugins().names())
    for connection in spec.connections:
        model = connector_plugins().load(connection.connector).config_model
        rows.checked_config(model, connection.config, name=connection.name)


def test_a_page_whose_marks_are_gone_is_not_taken_for_current(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = marked.marks("x")
    page.write_text(f"a\n{begin}\nold\n{end}\nb\n", "utf-8")
    assert marked.filled(page, {"x": "new"}) == f"a\n{begin}\nnew\n{end}\nb\n"
    page.write_text("a\nb\n", "utf-8")
    with pytest.raises(ValueError, match="must have"):
        marked.filled(page, {"x": "new"})
