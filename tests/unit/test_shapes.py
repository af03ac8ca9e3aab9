"""The shape of a body: fields, codes and states stay; whatever could tell who somebody is does not."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.shapes import MAX_BYTES, MAX_FIELDS, MAX_ITEMS, shape_of, shape_of_query

PERSONAL = "ada.lovelace@example.com"


FAULT = {"Fault": {"Error": [{"Message": "Duplicate", "code": "6240"}]}}
KEPT = {"id": "58", "Active": True, "SyncToken": "0", "sparse": None, "created_at": "2026-01-20T10:30:00Z"}


@pytest.mark.parametrize(
    "body, shape",
    [
        (KEPT, KEPT),
        ({"email": PERSONAL, "name": "Ada"}, {"email": "[24 characters]", "name": "[3 characters]"}),
        ({"status": "Ada Lovelace", "code": PERSONAL}, {"status": "[12 characters]", "code": "[24 characters]"}),
        ({"amount": 1500, "phone": 4930901820775}, {"amount": 1500, "phone": "[number]"}),
        (FAULT, {"Fault": {"Error": [{"Message": "[9 characters]", "code": "6240"}]}}),
        ({PERSONAL: 1}, {"[name]": 1}),
        (["Ada", "Bea"], ["[3 characters]", "[3 characters]"]),
        ("Ada", "[3 characters]"),
    ],
)  # fmt: skip
def test_what_is_told(body: Any, shape: Any) -> None:
    assert shape_of(orjson.dumps(body)) == shape


def test_what_is_long_or_deep_is_cut() -> None:
    assert shape_of(orjson.dumps(list(range(MAX_ITEMS + 3)))) == [*range(MAX_ITEMS), "[3 more]"]
    fields = {f"f{n}": n for n in range(MAX_FIELDS + 2)}
    assert shape_of(orjson.dumps(fields))["…"] == "[2 more]"
    deep: Any = PERSONAL
    for _ in range(50):
        deep = {"in": deep}
    assert PERSONAL not in str(shape_of(orjson.dumps(deep)))


@pytest.mark.parametrize("body", [b"", b"<html>Ada</html>", b"{", b"\xff\xfe", b"a" * MAX_BYTES])
def test_of_what_is_no_json_the_size_is_told(body: bytes) -> None:
    assert shape_of(body) == shape_of(len(body)) == f"[{len(body)} bytes]"


def test_an_address_is_told_by_its_parameters() -> None:
    query = {"email": PERSONAL, "page": "2", "query": f"mail = {PERSONAL}"}
    assert shape_of_query(query) == {"email": "[24 characters]", "page": "2", "query": "[31 characters]"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_a_text_is_never_told_under_a_name_of_its_own(value: Any) -> None:
    """Whatever the body: a text with a blank or an @ in it appears nowhere."""
    shape = orjson.dumps(shape_of(orjson.dumps({"id": PERSONAL, "more": value, "code": "Ada Lovelace"}))).decode()
    assert "@" not in shape
    assert "Ada Lovelace" not in shape
