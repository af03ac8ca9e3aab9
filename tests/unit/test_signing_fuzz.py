"""Signatures against whatever a stranger may send: every single bit changed, and arbitrary text in every header."""

import base64
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.signing import (
    RefusalReason,
    SignatureRefusedError,
    StandardWebhooksVerifier,
    StaticHeaderVerifier,
    Verified,
    sign,
)
from tests.unit.signing_setup import (
    ANY_TEXT,
    BODY,
    FAMILIES,
    ID,
    OTHER_SECRET,
    SECRET,
    SIGNATURE,
    TIME,
    TOKEN,
    V1A,
    WRONG,
    accept,
    refuse,
    signed,
)


def flips(data: bytes) -> Iterable[bytes]:
    """Return the data with each of its bits turned over in turn."""
    number = int.from_bytes(data, "big")
    return ((number ^ 1 << bit).to_bytes(len(data), "big") for bit in range(8 * len(data)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", ["id", "timestamp", "signature"])
def test_a_single_wrong_bit_in_a_header_is_refused(family: str, part: str) -> None:
    headers = signed(family)
    flipped = list(flips(headers[f"{family}-{part}"].encode()))
    assert len(flipped) >= 80
    for data in flipped:
        refuse({**headers, f"{family}-{part}": data.decode("utf-8", "surrogateescape")})


def test_a_single_wrong_bit_in_the_body_is_refused() -> None:
    for body in flips(BODY):
        assert refuse(signed(), body) is RefusalReason.SIGNATURE_MISMATCH


@given(
    key=st.binary(min_size=24, max_size=64),
    message_id=st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=256),
    timestamp=st.integers(0, 10**12 - 1),
    body=st.binary(min_size=1, max_size=4096),
    family=st.sampled_from(FAMILIES),
    data=st.data(),
)
def test_what_is_signed_verifies_and_with_one_wrong_bit_does_not(
    *, key: bytes, message_id: str, timestamp: int, body: bytes, family: str, data: st.DataObject
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    verifier = StandardWebhooksVerifier([secret])
    headers = sign(secret, message_id=message_id, timestamp=timestamp, body=body, scheme=family)
    wanted = Verified(delivery_key=message_id, scheme=family, secret_index=0)
    assert accept(headers, body, by=verifier, now=timestamp) == wanted

    name = data.draw(st.sampled_from([*headers, "body"]))
    original = body if name == "body" else headers[name].encode()
    number = int.from_bytes(original, "big") ^ 1 << data.draw(st.integers(0, 8 * len(original) - 1))
    changed = number.to_bytes(len(original), "big")
    if name == "body":
        refuse(headers, changed, by=verifier, now=timestamp)
    else:
        refuse({**headers, name: changed.decode("utf-8", "surrogateescape")}, body, by=verifier, now=timestamp)


NAMES = [*signed("svix"), *signed("webhook"), "x-api-key", "content-type"]
VALUES = ANY_TEXT | st.sampled_from([ID, str(TIME), SIGNATURE, WRONG, V1A, "v1,", "v1", "", TOKEN])
SIGNATURE_LISTS = st.lists(VALUES, max_size=20).map(" ".join)


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES | SIGNATURE_LISTS), max_size=10), st.binary(), st.floats())
def test_no_input_whatever_raises_anything_but_a_refusal(
    headers: list[tuple[str, str]], body: bytes, now: float
) -> None:
    # The generator knows no key: what passes is the published vector itself, or the token.
    signed_is_known = body == BODY and abs(now // 1 - TIME) <= 300
    token_is_known = ("x-api-key", TOKEN) in headers
    for verifier, known in (
        (StandardWebhooksVerifier([SECRET, OTHER_SECRET]), signed_is_known),
        (StaticHeaderVerifier("X-Api-Key", [TOKEN]), token_is_known),
    ):
        try:
            accept(headers, body, by=verifier, now=now)
        except SignatureRefusedError:
            continue
        assert known


@given(message_id=VALUES, timestamp=VALUES, signature=VALUES | SIGNATURE_LISTS, family=st.sampled_from(FAMILIES))
def test_a_complete_family_of_arbitrary_text_is_judged_and_never_crashes(
    message_id: str, timestamp: str, signature: str, family: str
) -> None:
    headers = signed(family, message_id=message_id, timestamp=timestamp, signature=signature)
    genuine = message_id == ID and timestamp == str(TIME) and SIGNATURE in signature.split(" ")[:16]
    try:
        accept(headers)
    except SignatureRefusedError:
        assert not genuine
    else:
        assert genuine
