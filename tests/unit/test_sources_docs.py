"""The pages about sources: every option and poll setting with its default, and examples that work as they stand."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from pydantic import BaseModel

from gateway.configuration.files import File
from gateway.plugins import source_plugins
from gateway.sources.base import PollConfig, Trigger
from gateway.sources.flexprice import FlexpriceOptions
from gateway.sources.signing import new_secret
from gateway.sources.tithely import TithelyOptions
from tests.unit.tithely_setup import identity, source

DOCS = Path(__file__).resolve().parents[2] / "docs"
TITHELY, SOURCES, FLEXPRICE = (
    (DOCS / name).read_text(encoding="utf-8") for name in ("tithely.md", "sources.md", "flexprice.md")
)


def settings_in(page: str, head: str) -> dict[str, str]:
    """The rows of the table under a header row: name and default."""
    table = page[page.index(f"| {head} | default | means |") :].split("\n\n", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \| (\S.*?) \|", table, re.MULTILINE))


def defaults(model: type[BaseModel]) -> dict[str, str]:
    """What the tables must say."""
    told = {}
    for name, field in model.model_fields.items():
        value: Any = field.default
        if field.is_required():
            told[name] = "required"
        elif value is None:
            told[name] = "none"
        else:
            plain = list(value) if isinstance(value, tuple) else int(value)
            told[name] = f"`{json.dumps(plain)}`"
    return told


def examples(page: str, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page,head,model",
    [(TITHELY, "option", TithelyOptions), (TITHELY, "setting", PollConfig), (FLEXPRICE, "option", FlexpriceOptions)],
)
def test_every_setting_is_documented_with_its_default(page: str, head: str, model: type[BaseModel]) -> None:
    assert settings_in(page, head) == defaults(model)


def test_every_platform_is_on_the_page() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]\(\w+\.md\) \| ", SOURCES.split("\n## ", 1)[0], re.MULTILINE)
    assert sorted(listed) == [name for name in source_plugins().names() if name in ("flexprice", "tirdad", "tithely")]


@pytest.mark.parametrize("page", [TITHELY, FLEXPRICE])
def test_the_example_of_a_source_is_one_that_can_be_applied(page: str) -> None:
    (text,) = examples(page, "toml")
    raw = tomllib.loads(text)
    for each in raw["sources"]:
        each["secrets"] = [new_secret() for _ in each["secrets"]]
    for spec in File.model_validate(raw).sources:
        adapter = source_plugins().load(spec.platform)
        adapter.check_options(spec.options)
        assert spec.poll is None or adapter.takes_poll


def test_the_example_of_an_envelope_is_valid_and_understood() -> None:
    (text,) = examples(TITHELY, "json")
    schema = json.loads((DOCS / "schemas/tithely-transaction.schema.json").read_text(encoding="utf-8"))
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(json.loads(text))
    event = source().parse(orjson.dumps(json.loads(text)))
    assert (event.trigger, event.customer_id) == (Trigger.TRANSACTION, json.loads(text)["data"]["donor_id"])


def test_the_hash_that_the_page_shows_is_the_id_of_that_giver() -> None:
    shown = re.findall(r"email:([0-9a-f]{32})/", TITHELY)
    assert shown == [hashlib.sha256(b"jane@example.com").hexdigest()[:32]]
    assert identity(email="jane@example.com") == f"email:{shown[0]}"
