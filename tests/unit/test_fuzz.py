"""Whatever a file or a webhook's body holds: read, or refused in one line; never anything else."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.files import read_file
from gateway.configuration.references import resolve_all
from gateway.errors import ConfigFileError, PayloadInvalidError
from gateway.sources.flexprice import FlexpriceSource

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
EXAMPLE = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)).replace('"env:', '"')
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=8), one, max_size=4)
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toml") / "given.toml"


def read(file: Path, content: bytes) -> None:
    """Read a file, which may be refused in one line that does not go on for ever."""
    file.write_bytes(content)
    told = ""
    try:
        read_file(file, resolve_all)
    except ConfigFileError as refused:
        told = str(refused)
    assert "\n" not in told
    assert len(told) < 2000


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_no_bytes_at_all_are_more_than_a_refusal(file: Path, content: bytes) -> None:
    read(file, content)


@given(
    at=st.integers(0, len(EXAMPLE)), drop=st.integers(0, 40), put=st.text(max_size=12) | st.sampled_from('[]{}"=.#\n')
)
def test_no_damage_to_a_good_file_is_more_than_a_refusal(file: Path, at: int, drop: int, put: str) -> None:
    read(file, (EXAMPLE[:at] + put + EXAMPLE[at + drop :]).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "content",
    ["a = " + "1" * 5000, "a = " + "[" * 5000, "a" * 100_000, "a." * 5000 + "b = 1", "[a]\n" * 3, "a = 9e999999"],
)
def test_what_is_long_deep_or_large_is_refused(file: Path, content: str) -> None:
    file.write_text(content, "utf-8")
    with pytest.raises(ConfigFileError):
        read_file(file, resolve_all)


def event_of(body: bytes) -> Any:
    source = object.__new__(FlexpriceSource)  # reading a body takes nothing that a source was made with
    return source.parse(body)


@given(body=st.binary(max_size=400))
def test_no_body_at_all_is_more_than_a_refusal(body: bytes) -> None:
    try:
        event_of(body)
    except PayloadInvalidError:
        return


@given(
    kind=st.sampled_from(["invoice.update.finalized", "customer.updated", "wallet.created"]) | st.text(max_size=30),
    invoice=JSON, customer=JSON,
)  # fmt: skip
def test_no_envelope_at_all_is_more_than_a_refusal(kind: str, invoice: Any, customer: Any) -> None:
    try:
        body = orjson.dumps({"event_type": kind, "invoice": invoice, "customer": customer})
    except TypeError:  # an integer or a text that JSON cannot hold
        return
    try:
        found = event_of(body)
    except PayloadInvalidError:
        return
    assert len(found.type) <= 200
