"""Static headers: a token that proves the sender, the edges of the rule, and whatever a stranger may send in it."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sources.signing import RefusalReason, SecretInvalidError, StaticHeaderVerifier, Verified
from tests.unit.signing_setup import ANY_TEXT, BODY, TOKEN, accept, refuse, signed


def test_a_static_header_proves_the_sender_and_the_body_is_the_key() -> None:
    verifier = StaticHeaderVerifier("X-Api-Key", [TOKEN])
    for body in (BODY, b"", bytes(range(256))):
        verified = accept({"x-api-KEY": TOKEN}, body, by=verifier)
        key = hashlib.sha256(body).hexdigest()
        assert verified == Verified(delivery_key=key, scheme="static-header", secret_index=0)


def test_each_secret_of_a_static_header_is_accepted_and_named() -> None:
    tokens = [f"Bearer token number {n}" for n in range(4)]
    verifier = StaticHeaderVerifier("Authorization", tokens)
    assert [accept({"Authorization": token}, by=verifier).secret_index for token in tokens] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "value", ["", " ", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), f"{TOKEN}, {TOKEN}", f"{TOKEN}\x00", "é", "\udcff" * 16]
)
def test_another_value_in_a_static_header_is_refused(value: str) -> None:
    assert refuse({"X-Api-Key": value}, by=StaticHeaderVerifier("X-Api-Key", [TOKEN])) is RefusalReason.TOKEN_MISMATCH


def test_a_missing_or_repeated_static_header_is_refused() -> None:
    verifier = StaticHeaderVerifier("X-Api-Key", [TOKEN])
    assert refuse({"X-Api-Token": TOKEN}, by=verifier) is RefusalReason.HEADERS_MISSING
    assert refuse(signed(), by=verifier) is RefusalReason.HEADERS_MISSING
    assert refuse([("X-Api-Key", TOKEN)] * 2, by=verifier) is RefusalReason.HEADER_REPEATED
    assert refuse([("X-Api-Key", TOKEN), ("x-api-key", "x")], by=verifier) is RefusalReason.HEADER_REPEATED


@given(value=ANY_TEXT, body=st.binary())
def test_arbitrary_text_in_a_static_header_never_passes_or_crashes(value: str, body: bytes) -> None:
    assert refuse({"X-Api-Key": value}, body, by=StaticHeaderVerifier("X-Api-Key", [TOKEN]))


@given(bit=st.integers(0, 8 * len(TOKEN) - 1))
def test_a_single_wrong_bit_in_a_static_header_is_refused(bit: int) -> None:
    changed = (int.from_bytes(TOKEN.encode(), "big") ^ 1 << bit).to_bytes(len(TOKEN), "big")
    headers = {"X-Api-Key": changed.decode("utf-8", "surrogateescape")}
    assert refuse(headers, by=StaticHeaderVerifier("X-Api-Key", [TOKEN])) is RefusalReason.TOKEN_MISMATCH


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 7, f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}é", f"{TOKEN}\x00", "\udcff" * 16, " " * 16]
)
def test_a_static_secret_must_be_long_and_fit_in_a_header(token: str) -> None:
    with pytest.raises(SecretInvalidError, match=r"^secret 2: (shorter than 8 characters|has white space)"):
        StaticHeaderVerifier("X-Api-Key", [TOKEN, token])
    assert StaticHeaderVerifier("X-Api-Key", ["x" * 8])


@pytest.mark.parametrize("header", ["", "X Api Key", "X-Api-Key:", "X-Api-Key\n", "é"])
def test_a_static_header_needs_a_header_name(header: str) -> None:
    with pytest.raises(ValueError, match="header name"):
        StaticHeaderVerifier(header, [TOKEN])
