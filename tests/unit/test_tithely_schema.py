"""The published JSON Schema of our envelope says what the parser takes and what the sender and the poller send."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import PayloadInvalidError
from gateway.sandbox.tithely import TithelySimulator
from gateway.sources.base import Trigger
from gateway.sources.tithely_envelope import Gift, write_envelope
from tests.unit.tithely_setup import envelope, source

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs/schemas/tithely-transaction.schema.json").read_text())
VALID = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)
TEXT = st.none() | st.text(max_size=20) | st.sampled_from(["Jane", "jane@example.com", " "])


def test_the_schema_is_a_schema() -> None:
    jsonschema_rs.meta.validate(SCHEMA)


@given(
    gift=st.fixed_dictionaries(
        {
            "transaction_id": st.sampled_from(["ch_1", "~"]) | st.text(max_size=8),
            "amount": st.sampled_from(["2500", "0", 2500, 0, "25.00", -1, 25.5]),
            "currency": st.sampled_from(["USD", "usd", "dollar", ""]),
        },
        optional={
            **dict.fromkeys(("donor_id", "first_name", "last_name", "email", "phone"), TEXT),
            "address": st.none()
            | st.dictionaries(st.sampled_from(["street_address", "city", "state", "postal", "country", "more"]), TEXT),
            "more": st.integers() | st.lists(st.text()),
        },
    ),
    timestamp=st.sampled_from(["2026-01-20T10:30:00Z", "2026-01-20T10:30:00.123+02:00", "yesterday"]),
)
def test_what_the_schema_takes_the_parser_takes_too(gift: dict[str, Any], timestamp: str) -> None:
    body = {"type": "transaction.created", "timestamp": timestamp, "data": gift}
    try:
        encoded = orjson.dumps(body)
    except orjson.JSONEncodeError:  # a lone surrogate, which no JSON can hold
        return
    if VALID.is_valid(body):
        event = source().parse(encoded)
        assert (event.trigger, event.subject) == (Trigger.TRANSACTION, gift["transaction_id"])


@pytest.mark.parametrize(
    "data",
    [
        {"transaction_id": ""}, {"transaction_id": "jane@example.com"}, {"transaction_id": None}, {"first_name": 7},
        {"donor_id": ["user_7"]}, {"address": "1 Elm St"}, {"address": {"city": 7}}, {"email": "x" * 1001},
    ],
)  # fmt: skip
def test_what_the_parser_refuses_the_schema_refuses_too(data: dict[str, Any]) -> None:
    body = envelope(**{"email": "jane@example.com", **data})
    with pytest.raises(PayloadInvalidError):
        source().parse(orjson.dumps(body))
    assert not VALID.is_valid(body)


@pytest.mark.parametrize("gap", ["type", "timestamp", "data"])
def test_a_part_that_is_missing_is_found(gap: str) -> None:
    body = envelope(email="jane@example.com")
    assert VALID.is_valid(body)
    del body[gap]
    assert not VALID.is_valid(body)


@pytest.mark.parametrize("giver", [{}, {"first_name": " ", "email": None}, {"phone": "1", "donor_id": "user_7"}])
def test_a_gift_that_names_nobody_is_told_before_it_is_sent(giver: dict[str, Any]) -> None:
    assert not VALID.is_valid(envelope(**giver))


@pytest.mark.parametrize("with_donor_id", [True, False])
def test_what_the_sandbox_sends_is_valid(rng: random.Random, *, with_donor_id: bool) -> None:
    tithely = TithelySimulator(rng=rng)
    for charge_id in (tithely.add_gift(first_name="Jane", email="jane@example.com"), tithely.add_gift(last_name="Doe")):
        VALID.validate(tithely.event(charge_id, with_donor_id=with_donor_id))


def test_what_the_poller_writes_is_valid(rng: random.Random) -> None:
    gift = Gift(transaction_id="ch_1", donor_id="user_7", first_name="Jane", currency="USD", amount="2500")
    at = source().host.now()
    VALID.validate(orjson.loads(write_envelope(gift, at=at)))
