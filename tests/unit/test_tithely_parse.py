"""Our envelope for Tithely's gifts: what is read, what is refused, and that nothing else ever escapes."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors import Address
from connectors.errors import MissingFieldsError
from gateway.errors import CustomerNotFoundError, PayloadInvalidError
from gateway.sources.base import Confirmed, Event, Trigger
from gateway.sources.tithely_envelope import ADDRESS_FIELDS, Gift, read_gift, read_type, write_envelope
from tests.unit.tithely_setup import envelope, read, source

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("transaction_id", "donor_id", "first_name", "last_name", "email", "phone", "address", "amount", "currency")


async def test_a_gift_is_a_transaction_of_a_customer_with_all_that_was_told() -> None:
    adapter = source()
    told = {
        "donor_id": "user_7", "first_name": " Jane ", "last_name": "Doe", "email": "jane@example.com",
        "phone": "+1 512 555 0100", "currency": "usd",
        "address": {"street_address": "1 Elm St", "city": "Austin", "state": "TX", "postal": "78701", "country": "us"},
    }  # fmt: skip
    event = adapter.parse(orjson.dumps(envelope(**told)))
    assert (event.type, event.trigger, event.subject) == ("transaction.created", Trigger.TRANSACTION, "ch_1")
    assert await adapter.confirm(event) == Confirmed(customer_id="user_7")
    customer = await adapter.customer("user_7", event)
    assert (customer.given_name, customer.family_name, customer.name) == ("Jane", "Doe", "")
    assert (customer.email, customer.phone, customer.currency) == ("jane@example.com", "+1 512 555 0100", "USD")
    assert customer.address == Address(line1="1 Elm St", city="Austin", region="TX", postal_code="78701", country="US")
    assert (customer.reference, customer.platform, customer.environment_id) == (
        "tithely-main:user_7",
        "tithely",
        "prod",
    )


def test_what_a_gift_says_of_its_giver_is_in_no_repr() -> None:
    event = source().parse(orjson.dumps(envelope(first_name="Jane", last_name="Doe", email="jane@example.com")))
    gift = read_gift(envelope(first_name="Jane", donor_id="Jane Doe")["data"])
    assert "jane" not in f"{event!r} {gift!r}".casefold()


@pytest.mark.parametrize("kind", ["transaction.updated", "refund.created", "donation.completed", "x"])
def test_another_type_is_no_trigger_and_says_so(kind: str) -> None:
    event = source().parse(orjson.dumps({"type": kind, "data": {"transaction_id": 1, "surprise": [1, 2]}}))
    assert (event.trigger, event.reason) == (Trigger.NONE, f"{kind} is not a trigger")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no json", b"[]", b'"transaction.created"', b"{}", b'{"type": 7}', b'{"type": ""}', b'{"type": "a b"}',
        b'{"type": "%b"}' % (b"x" * 101), b'{"type": "jane\\u0007"}', b"\xff\xfe", b'{"type": "transaction.created"',
        b'{"type": "transaction.created"}', b'{"type": "transaction.created", "data": []}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(PayloadInvalidError):
        source().parse(body)


@pytest.mark.parametrize(
    "transaction_id", [None, "", " ", "jane@example.com", "ch 1", "x" * 256, 1.5, True, ["ch_1"], "ch_é", "ch_\n1"]
)
def test_a_gift_without_a_usable_id_is_refused(transaction_id: object) -> None:
    with pytest.raises(PayloadInvalidError, match="transaction_id"):
        source().parse(orjson.dumps(envelope(transaction_id=transaction_id)))


@pytest.mark.parametrize("name", ["donor_id", "first_name", "last_name", "email", "phone"])
@pytest.mark.parametrize("value", [["jane"], {"a": 1}, True, 1.5, "x" * 1001])
def test_a_field_of_another_type_is_refused_by_its_name_and_without_its_value(name: str, value: object) -> None:
    with pytest.raises(PayloadInvalidError, match=f"data.{name} ") as caught:
        source().parse(orjson.dumps(envelope(**{name: value})))
    assert "jane" not in str(caught.value)
    assert "xx" not in str(caught.value)


@pytest.mark.parametrize("address", ["1 Elm St", ["1 Elm St"], {"city": 7}])
def test_an_address_of_another_form_is_refused(address: object) -> None:
    with pytest.raises(PayloadInvalidError, match=r"data\.address"):
        source().parse(orjson.dumps(envelope(address=address)))


@pytest.mark.parametrize("amount", ["2500", 2500, "25.00", 25.5, None, -1, "", [1]])
async def test_the_amount_is_not_looked_at(amount: object) -> None:
    assert (await read(email="jane@example.com", amount=amount)).email == "jane@example.com"


@pytest.mark.parametrize("told,kept", [("usd", "USD"), (" eur ", "EUR"), ("dollars", ""), ("", ""), ("U$D", "")])
async def test_a_currency_is_three_letters_or_absent(told: str, kept: str) -> None:
    assert (await read(email="jane@example.com", currency=told)).currency == kept


async def test_unknown_keys_and_nulls_are_passed_over() -> None:
    body = {**envelope(email="jane@example.com", first_name=None, donor_id=None, fund="Tithe"), "version": 3}
    adapter = source()
    event = adapter.parse(orjson.dumps(body))
    assert (await adapter.customer("x", event)).email == "jane@example.com"


async def test_controls_become_blanks_since_no_name_has_them() -> None:
    customer = await read(first_name="Jane\x00\x1b", last_name="van\nDoe")
    assert (customer.given_name, customer.family_name) == ("Jane", "van Doe")


@pytest.mark.parametrize("data", [{}, {"first_name": "  ", "email": ""}, {"donor_id": "user_7", "phone": "1"}])
async def test_a_gift_that_names_nobody_triggers_and_then_lacks_required_fields(data: dict[str, Any]) -> None:
    with pytest.raises(MissingFieldsError):
        await read(**data)


async def test_a_donor_whose_delivery_was_pruned_cannot_be_read_again() -> None:
    event = Event(type="transaction", trigger=Trigger.TRANSACTION, subject="ch_1", customer_id="user_7")
    adapter = source()
    assert await adapter.confirm(event) == Confirmed(customer_id="user_7")
    with pytest.raises(CustomerNotFoundError):
        await adapter.customer("user_7", event)


async def test_there_is_nowhere_to_write_back_to() -> None:
    adapter = source()
    assert not adapter.writes_back
    assert not await adapter.write_back(
        customer_id="user_7", connector="quickbooks", provider_entity_id="58", synced_at=adapter.host.now()
    )


@given(st.binary())
@example(b'{"type":"transaction.created","data":{"transaction_id":"\\ud800"}}')
@example(b'{"type":"transaction.created","data":{"transaction_id":1e400}}')
def test_no_bytes_at_all_raise_anything_but_a_refusal(body: bytes) -> None:
    try:
        source().parse(body)
    except PayloadInvalidError:
        return


@given(data=st.dictionaries(st.sampled_from(FIELDS), JSON), kind=st.just("transaction.created") | st.text())
def test_no_json_at_all_raises_anything_but_a_refusal(data: dict[str, Any], kind: str) -> None:
    try:
        body = orjson.dumps({"type": kind, "data": data})
    except orjson.JSONEncodeError:  # a number or text that JSON cannot hold
        return
    try:
        event = source().parse(body)
    except PayloadInvalidError:
        return
    assert event.trigger is Trigger.NONE or (event.subject and event.customer_id)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40).map(str.strip)


@given(
    texts=st.fixed_dictionaries(dict.fromkeys(("first_name", "last_name", "email", "phone"), TEXT)),
    lines=st.lists(TEXT, min_size=5, max_size=5),
    donor_id=st.sampled_from(["", "user_7", "17"]),
)
def test_an_envelope_that_we_write_reads_back_as_the_same_gift(
    texts: dict[str, str], lines: list[str], donor_id: str
) -> None:
    street, city, region, postal_code, country = lines
    address = Address(line1=street, city=city, region=region, postal_code=postal_code, country=country.upper())
    gift = Gift(
        transaction_id="ch_1", donor_id=donor_id, address=None if address == Address() else address, currency="USD",
        amount="2500", **texts,
    )  # fmt: skip
    at = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)
    kind, given_at, data = read_type(write_envelope(gift, at=at))
    assert (kind, given_at) == ("transaction.created", at)
    assert read_gift(data) == gift
    assert set(data.get("address", {})) <= set(ADDRESS_FIELDS)
