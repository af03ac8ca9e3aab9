"""The secrets that sign: which are taken, their rotation, and that nothing shows them."""

import base64
import hashlib
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.sources.signing import (
    RefusalReason,
    SecretInvalidError,
    SignatureRefusedError,
    StandardWebhooksVerifier,
    StaticHeaderVerifier,
    Verifier,
    new_secret,
    sign,
)
from tests.unit.signing_setup import (
    BODY,
    ID,
    OTHER_SECRET,
    SECRET,
    SIGNATURE,
    TIME,
    TOKEN,
    WRONG,
    accept,
    refuse,
    signed,
)


def test_while_a_secret_is_rotated_each_signs_whichever_signed_last() -> None:
    """The one that signed last is tried first, and the others are still there."""
    secrets = [new_secret() for _ in range(3)]
    verifier = StandardWebhooksVerifier(secrets)
    for index in (2, 0, 1, 1, 2, 0):
        headers = CIMultiDict(sign(secrets[index], message_id=ID, timestamp=TIME, body=BODY))
        assert verifier.verify(headers, BODY, now=TIME).secret_index == index


def test_a_secret_that_signs_nothing_is_named_by_its_place() -> None:
    with pytest.raises(SecretInvalidError, match="1"):
        sign("whsec_!", message_id=ID, timestamp=TIME, body=BODY)


@given(st.data())
def test_a_rotation_says_which_secret_signed(data: st.DataObject) -> None:
    secrets = [base64.b64encode(bytes([n]) * 32).decode() for n in range(data.draw(st.integers(1, 6)))]
    used = data.draw(st.lists(st.integers(0, len(secrets) - 1), min_size=1, unique=True))
    by_each = [sign(secrets[n], message_id=ID, timestamp=TIME, body=BODY) for n in used]
    listed = " ".join(headers["webhook-signature"] for headers in by_each)
    verified = accept(signed(signature=listed), by=StandardWebhooksVerifier(secrets))
    assert verified.secret_index == min(used)


def test_a_secret_that_was_taken_away_signs_no_more() -> None:
    headers = sign(SECRET, message_id=ID, timestamp=TIME, body=BODY)
    assert accept(headers, by=StandardWebhooksVerifier([OTHER_SECRET, SECRET])).secret_index == 1
    assert refuse(headers, by=StandardWebhooksVerifier([OTHER_SECRET])) is RefusalReason.SIGNATURE_MISMATCH


def test_a_verifier_is_used_many_times_and_remembers_nothing() -> None:
    verifier = StandardWebhooksVerifier([OTHER_SECRET, SECRET])
    for _ in range(3):
        assert accept(signed(), by=verifier).secret_index == 1
        assert refuse(signed(), b"other", by=verifier) is RefusalReason.SIGNATURE_MISMATCH


@pytest.mark.parametrize("length", [24, 25, 26, 27, 32, 64, 65])
def test_prefix_and_padding_of_a_secret_may_be_left_out(length: int) -> None:
    encoded = base64.b64encode(bytes(range(length))).decode()
    headers = sign("whsec_" + encoded, message_id=ID, timestamp=TIME, body=BODY)
    for secret in ("whsec_" + encoded, encoded, "whsec_" + encoded.rstrip("="), encoded.rstrip("=")):
        assert accept(headers, by=StandardWebhooksVerifier([secret])).delivery_key == ID
        assert sign(secret, message_id=ID, timestamp=TIME, body=BODY) == headers


BAD_SECRETS = {
    "": "is empty",
    "whsec_": "is empty",
    "whsec_abc": "has 2 bytes, fewer than 24",
    "whsec_" + base64.b64encode(b"k" * 23).decode(): "has 23 bytes, fewer than 24",
    "whsec_" + base64.b64encode(b"\xff" * 32).decode().replace("/", "_"): "is not base64",
    "whsec_" + base64.b64encode(b"k" * 32).decode() + "\n": "is not base64",
    " whsec_" + base64.b64encode(b"k" * 32).decode(): "is not base64",
    "whsec_" + base64.b64encode(b"k" * 32).decode() + "=": "is not base64",
    "WHSEC_" + base64.b64encode(b"k" * 32).decode(): "is not base64",
    "whsec_whsec_" + base64.b64encode(b"k" * 32).decode(): "is not base64",
    "whsec_" + "é" * 44: "is not base64",
    "whsec_" + "\udcff" * 44: "is not base64",
    "correct horse battery staple correct horse": "is not base64",
    "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=": "is a key of the ed25519 scheme, not a shared secret",
    "whsk_" + base64.b64encode(b"k" * 64).decode(): "is a key of the ed25519 scheme, not a shared secret",
}


@pytest.mark.parametrize("secret", BAD_SECRETS)
def test_a_secret_that_is_no_key_is_refused_when_it_is_configured(secret: str) -> None:
    with pytest.raises(SecretInvalidError) as caught:
        StandardWebhooksVerifier([SECRET, secret])
    assert str(caught.value) == f"secret 2: {BAD_SECRETS[secret]}"
    with pytest.raises(SecretInvalidError):
        sign(secret, message_id=ID, timestamp=TIME, body=BODY)


@pytest.mark.parametrize("make", [StandardWebhooksVerifier, lambda secrets: StaticHeaderVerifier("X-Api-Key", secrets)])
@pytest.mark.parametrize("secrets", [[], (), SECRET])
def test_no_secret_or_a_lone_text_for_a_list_is_refused(make: Callable[[Any], Verifier], secrets: object) -> None:
    with pytest.raises(SecretInvalidError, match="at least one secret"):
        make(secrets)


def test_a_new_secret_is_32_fresh_bytes_and_usable() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", first)
    headers = sign(first, message_id=ID, timestamp=TIME, body=BODY)
    assert accept(headers, by=StandardWebhooksVerifier([second, first])).secret_index == 1


# ---------------------------------------------------------------- what is shown


def shown(thing: object) -> str:
    """Return all that a log, a debugger's list or a traceback would print of an object."""
    text = f"{thing!r} {thing} {vars(thing) if hasattr(thing, '__dict__') else ''}"
    return text + ("".join(traceback.format_exception(thing)) if isinstance(thing, BaseException) else "")


def test_nothing_shows_a_secret_or_a_signature() -> None:
    key = SECRET.removeprefix("whsec_")
    verifier = StandardWebhooksVerifier([SECRET, OTHER_SECRET])
    static = StaticHeaderVerifier("X-Api-Key", [TOKEN])
    things: list[object] = [verifier, static, accept(signed(), by=verifier), accept({"X-Api-Key": TOKEN}, by=static)]
    for by, headers in (
        (verifier, signed(signature=WRONG)),
        (verifier, signed(timestamp=SIGNATURE)),
        (static, {"X-Api-Key": f"{TOKEN} {SIGNATURE}"}),
    ):
        with pytest.raises(SignatureRefusedError) as refused:
            accept(headers, by=by)
        things.append(refused.value)
    for secret in BAD_SECRETS:
        with pytest.raises(SecretInvalidError) as invalid:
            StandardWebhooksVerifier([secret])
        things.append(invalid.value)
    everything = " ".join(map(shown, things))
    forbidden = {key, base64.b64decode(key).hex(), OTHER_SECRET[6:], TOKEN, SIGNATURE[3:], WRONG[3:]}
    forbidden |= {str(base64.b64decode(key)), hashlib.sha256(TOKEN.encode()).hexdigest()}
    forbidden |= {secret.split("_", 1)[-1] for secret in BAD_SECRETS if len(secret) > 6}
    assert not [secret for secret in forbidden if secret in everything]
    assert repr(verifier) == "StandardWebhooksVerifier(secrets=2, tolerance=300)"
    assert repr(static) == "StaticHeaderVerifier(header='X-Api-Key', secrets=1)"
