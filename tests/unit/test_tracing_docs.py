"""docs/tracing.md names every attribute and every span, and the extra that it takes."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/tracing.md").read_text("utf-8")
CODE = (ROOT / "gateway/tracing.py").read_text("utf-8")


def test_every_attribute_is_on_the_page_and_no_other() -> None:
    written = set(re.findall(r'"((?:ledgergate|http|server|peer|error)\.[a-z_.]+)"', CODE))
    assert len(written) > 10
    table = PAGE.partition("## Attributes")[2]
    assert set(re.findall(r"`((?:ledgergate|http|server|peer|error)\.[a-z_.]+)`", table)) == written


def test_every_variable_that_is_looked_at_is_on_the_page() -> None:
    assert {name for name in re.findall(r'"(OTEL_[A-Z_]+)"', CODE) if name not in PAGE} == set()


def test_the_extra_is_one_that_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "ledgergate[otel]" in PAGE
    assert "ledgergate[otel]" in CODE
    assert {line.split(">")[0] for line in project["optional-dependencies"]["otel"]} == {
        "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http",
    }  # fmt: skip
