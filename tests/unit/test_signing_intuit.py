"""Intuit's signature at its own door: a digest of OpenSSL's, the edges of every rule, and whatever a stranger sends."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.sources.signing import (
    IntuitVerifier,
    RefusalReason,
    SecretInvalidError,
    SignatureRefusedError,
    Verified,
    sign_as_intuit,
)

TOKEN, OTHER = "cf91a1f2-7a7d-4b6b-verifier-token", "0123456789abcdef"
BODY = b'{"eventNotifications":[]}'
SIGNATURE = "MonGX1I1jM2kskv1+7wkrYdtTjUDV6JzCEUZXvKdfSg="
"""Of `openssl dgst -sha256 -hmac TOKEN -binary | base64`."""
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def judge(*signatures: str, body: bytes = BODY, tokens: tuple[str, ...] = (TOKEN,)) -> Verified:
    headers = CIMultiDict([("Intuit-Signature", signature) for signature in signatures])
    return IntuitVerifier(tokens).verify(CIMultiDictProxy(headers), body, now=0.0)


def refused(*signatures: str, body: bytes = BODY) -> RefusalReason:
    with pytest.raises(SignatureRefusedError) as caught:
        judge(*signatures, body=body)
    assert str(caught.value) == caught.value.reason.value, "an error's text is its reason and nothing else"
    return caught.value.reason


def test_a_signature_is_accepted_and_reproduced_and_the_body_is_the_key() -> None:
    told = judge(SIGNATURE)
    assert (told.delivery_key, told.scheme, told.secret_index) == (
        hashlib.sha256(BODY).hexdigest(), "intuit-signature", 0,
    )  # fmt: skip
    assert sign_as_intuit(TOKEN, BODY) == {"intuit-signature": SIGNATURE}


def test_each_token_is_accepted_and_named() -> None:
    assert judge(SIGNATURE, tokens=(OTHER, TOKEN)).secret_index == 1
    assert judge(sign_as_intuit(OTHER, BODY)["intuit-signature"], tokens=(OTHER, TOKEN)).secret_index == 0


def test_a_missing_and_a_repeated_header_are_refused() -> None:
    assert refused() is RefusalReason.HEADERS_MISSING
    assert refused(SIGNATURE, SIGNATURE) is RefusalReason.HEADER_REPEATED


@pytest.mark.parametrize("signature", ["", SIGNATURE.rstrip("="), f"{SIGNATURE} ", SIGNATURE.lower(), "sha256=x"])
def test_a_signature_has_one_spelling(signature: str) -> None:
    assert refused(signature) is RefusalReason.SIGNATURE_MISMATCH


@pytest.mark.parametrize("bit", range(8 * len(BODY)))
def test_a_single_wrong_bit_in_the_body_is_refused(bit: int) -> None:
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    assert refused(SIGNATURE, body=bytes(changed)) is RefusalReason.SIGNATURE_MISMATCH


@given(ANY_TEXT.filter(lambda text: text != SIGNATURE))
def test_arbitrary_text_never_passes_or_crashes(text: str) -> None:
    assert refused(text) is RefusalReason.SIGNATURE_MISMATCH


@pytest.mark.parametrize("token", ["", "x" * 15, f"{TOKEN}é", f"{TOKEN}\x00", f"{TOKEN}\n", "\udcff" * 16])
def test_a_token_must_be_long_and_printable_ascii(token: str) -> None:
    with pytest.raises(SecretInvalidError, match=r"^secret 2: "):
        IntuitVerifier([OTHER, token])
    assert judge(sign_as_intuit(OTHER, BODY)["intuit-signature"], tokens=(OTHER,))


@pytest.mark.parametrize("secrets", [[], TOKEN])
def test_no_token_and_a_lone_text_for_a_list_are_refused(secrets: list[str]) -> None:
    with pytest.raises((SecretInvalidError, TypeError, ValueError)):
        IntuitVerifier(secrets)


def test_nothing_shows_a_token() -> None:
    assert repr(IntuitVerifier([TOKEN, OTHER])) == "IntuitVerifier(secrets=2)"
