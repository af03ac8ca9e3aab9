"""Our verifier against the reference implementations: random deliveries both ways, and every wanted difference listed.

`standardwebhooks` and `svix` read the wall clock, so these tests do too, and stay clear of the edges of the tolerance
(which test_signing_headers.py holds to the second, with a clock of its own).
"""

import base64
import binascii
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

from gateway.sources.signing import (
    RefusalReason,
    SecretInvalidError,
    SignatureRefusedError,
    StandardWebhooksVerifier,
    Verified,
    sign,
)

Library = type[StandardWebhook] | type[SvixWebhook]
ORACLES: list[tuple[Library, str]] = [
    (StandardWebhook, "webhook"),
    (SvixWebhook, "svix"),
    (SvixWebhook, "webhook"),
]
ORACLE = st.sampled_from(ORACLES)
KEYS = st.binary(min_size=24, max_size=64)
IDS = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=256)
BODIES = st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=8).map(json.dumps)
WELL_INSIDE = st.integers(-295, 295)
WELL_OUTSIDE = st.integers(305, 10**6).flatmap(lambda skew: st.sampled_from([skew, -skew]))

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
ID = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"
BODY = '{"event_type":"invoice.update.finalized"}'


def encode(key: bytes, *, prefix: bool = True, padding: bool = True) -> str:
    text = base64.b64encode(key).decode()
    return ("whsec_" if prefix else "") + (text if padding else text.rstrip("="))


def theirs_signed(library: Library, secret: str, message_id: str, timestamp: int, body: str) -> str:
    return library(secret).sign(message_id, datetime.fromtimestamp(timestamp, UTC), body)


def theirs(library: Library, secret: str, headers: dict[str, str], body: str | bytes) -> Exception | None:
    """Return what the library raises, or None when it accepts the delivery."""
    try:
        if issubclass(library, StandardWebhook):
            library(secret).verify(body, headers, json_parse=False)
        else:
            library(secret).verify(body, headers)
    except Exception as error:  # noqa: BLE001 - it lets out several kinds, which is why it is only an oracle
        return error
    return None


def ours(secret: str, headers: dict[str, str], body: str | bytes) -> Verified | RefusalReason:
    data = body.encode() if isinstance(body, str) else body
    try:
        return StandardWebhooksVerifier([secret]).verify(CIMultiDict(headers), data, now=time.time())
    except SignatureRefusedError as error:
        return error.reason


def named(family: str, message_id: str, timestamp: str, signature: str) -> dict[str, str]:
    return {f"{family}-id": message_id, f"{family}-timestamp": timestamp, f"{family}-signature": signature}


# ---------------------------------------------------------------- agreement


@given(
    oracle=ORACLE, key=KEYS, prefix=st.booleans(), padding=st.booleans(), message_id=IDS, skew=WELL_INSIDE, body=BODIES
)
def test_each_verifies_what_the_other_signed(
    *,
    oracle: tuple[Library, str],
    key: bytes,
    prefix: bool,
    padding: bool,
    message_id: str,
    skew: int,
    body: str,
) -> None:
    library, family = oracle
    secret = encode(key, prefix=prefix, padding=padding)
    timestamp = int(time.time()) + skew
    by_us = sign(secret, message_id=message_id, timestamp=timestamp, body=body.encode(), scheme=family)
    by_them = named(family, message_id, str(timestamp), theirs_signed(library, secret, message_id, timestamp, body))
    assert by_us == by_them
    assert theirs(library, secret, by_us, body) is None
    assert ours(secret, by_them, body) == Verified(delivery_key=message_id, scheme=family, secret_index=0)


@given(
    oracle=ORACLE,
    message_id=IDS,
    skew=WELL_INSIDE | WELL_OUTSIDE,
    body=BODIES,
    other_body=BODIES,
    entries=st.lists(st.sampled_from(["right", "other key", "other body", "v1a", "v2"]), min_size=1, max_size=16),
    missing=st.sampled_from([None, None, None, "id", "timestamp", "signature"]),
)
def test_the_verdict_on_a_well_formed_delivery_is_the_same(
    *,
    oracle: tuple[Library, str],
    message_id: str,
    skew: int,
    body: str,
    other_body: str,
    entries: list[str],
    missing: str | None,
) -> None:
    library, family = oracle
    timestamp = int(time.time()) + skew
    right = theirs_signed(library, SECRET, message_id, timestamp, body)
    texts = {
        "right": right,
        "other key": theirs_signed(library, encode(KEY[::-1]), message_id, timestamp, body),
        "other body": theirs_signed(library, SECRET, message_id, timestamp, other_body),
        "v1a": right.replace("v1", "v1a"),
        "v2": right.replace("v1", "v2"),
    }
    headers = named(family, message_id, str(timestamp), " ".join(texts[entry] for entry in entries))
    headers.pop(f"{family}-{missing}", None)
    error = theirs(library, SECRET, headers, body)
    verdict = ours(SECRET, headers, body)
    assert error is None or isinstance(error, WebhookVerificationError)
    assert isinstance(verdict, Verified) == (error is None), (verdict, error)


@given(st.sampled_from([*named("webhook", "", "", "")]), st.integers(0, 7), st.data())
def test_neither_accepts_a_delivery_with_one_bit_of_a_header_changed(name: str, bit: int, data: st.DataObject) -> None:
    headers = sign(SECRET, message_id=ID, timestamp=int(time.time()), body=BODY.encode())
    text = headers[name]
    # The last character of a signature has two bits that decoding drops: see the table of differences.
    at = data.draw(st.integers(0, len(text) - (3 if name.endswith("signature") else 1)))
    headers[name] = text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :]
    assert isinstance(ours(SECRET, headers, BODY), RefusalReason)
    assert theirs(StandardWebhook, SECRET, headers, BODY) is not None


# ---------------------------------------------------------------- wanted differences: they accept, we refuse

Change = Callable[[str, str, str], tuple[str, str, str]]

THEY_ACCEPT: dict[str, tuple[Change, RefusalReason]] = {
    "a timestamp with a fraction": (lambda i, t, s: (i, f"{t}.9", s), RefusalReason.TIMESTAMP_INVALID),
    "spaces around a timestamp": (lambda i, t, s: (i, f" {t} ", s), RefusalReason.TIMESTAMP_INVALID),
    "a timestamp with a sign": (lambda i, t, s: (i, f"+{t}", s), RefusalReason.TIMESTAMP_INVALID),
    "a timestamp with underscores": (lambda i, t, s: (i, f"{t[:4]}_{t[4:]}", s), RefusalReason.TIMESTAMP_INVALID),
    "a timestamp with an exponent": (lambda i, t, s: (i, f"{t}e0", s), RefusalReason.TIMESTAMP_INVALID),
    "a timestamp in other digits": (
        lambda i, t, s: (i, "".join(chr(0xFF10 + int(digit)) for digit in t), s),
        RefusalReason.TIMESTAMP_INVALID,
    ),
    # They sign the number again; we sign the text that came.
    "a timestamp with leading zeros": (lambda i, t, s: (i, f"00{t}", s), RefusalReason.SIGNATURE_MISMATCH),
    "junk inside the base64": (lambda i, t, s: (i, t, f"{s[:9]}!?{s[9:]}"), RefusalReason.SIGNATURE_MALFORMED),
    "text after the padding": (lambda i, t, s: (i, t, f"{s}="), RefusalReason.SIGNATURE_MALFORMED),
    "bits after the last byte": (
        lambda i, t, s: (i, t, s[:-2] + chr(ord(s[-2]) + 1) + "="),
        RefusalReason.SIGNATURE_MISMATCH,
    ),
    "a seventeenth signature": (
        lambda i, t, s: (i, t, " ".join([*["v1," + "A" * 43 + "="] * 16, s])),
        RefusalReason.SIGNATURE_MISMATCH,
    ),
}


@pytest.mark.parametrize("difference", THEY_ACCEPT)
@pytest.mark.parametrize("library, family", ORACLES)
def test_what_they_accept_and_we_refuse_on_purpose(library: Library, family: str, difference: str) -> None:
    timestamp = int(time.time())
    signature = theirs_signed(library, SECRET, ID, timestamp, BODY)
    change, reason = THEY_ACCEPT[difference]
    headers = named(family, *change(ID, str(timestamp), signature))
    assert theirs(library, SECRET, headers, BODY) is None
    assert ours(SECRET, headers, BODY) is reason


@pytest.mark.parametrize("message_id", ["m" * 257, "a\x00b", "a\nb", "\x7f"])
@pytest.mark.parametrize("library, family", ORACLES)
def test_ids_that_they_accept_and_we_refuse_on_purpose(library: Library, family: str, message_id: str) -> None:
    timestamp = int(time.time())
    signature = theirs_signed(library, SECRET, message_id, timestamp, BODY)
    headers = named(family, message_id, str(timestamp), signature)
    assert theirs(library, SECRET, headers, BODY) is None
    assert ours(SECRET, headers, BODY) is RefusalReason.ID_INVALID


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("whsec_abc", id="two bytes"),
        pytest.param(encode(b"k" * 23), id="23 bytes"),
        pytest.param("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", id="a public key"),
        pytest.param("whsk_" + base64.b64encode(b"k" * 63).decode(), id="a private key"),
        pytest.param("whsec_" + "-_!?" + base64.b64encode(KEY).decode(), id="junk in the base64"),
        pytest.param(SECRET + "\n", id="a line's end"),
    ],
)
@pytest.mark.parametrize("library, family", ORACLES)
def test_secrets_that_they_accept_and_we_refuse_on_purpose(library: Library, family: str, secret: str) -> None:
    timestamp = int(time.time())
    headers = named(family, ID, str(timestamp), theirs_signed(library, secret, ID, timestamp, BODY))
    assert theirs(library, secret, headers, BODY) is None
    with pytest.raises(SecretInvalidError):
        StandardWebhooksVerifier([secret])


# ---------------------------------------------------------------- wanted differences: they crash, we judge


@pytest.mark.parametrize(
    "damaged, crash",
    [
        ("v1", ValueError),
        ("", ValueError),
        ("v1,a,b", ValueError),
        ("v1,é", ValueError),
        ("v1,abc", binascii.Error),
    ],
)
@pytest.mark.parametrize("library, family", ORACLES)
def test_a_damaged_entry_crashes_them_and_is_passed_over_by_us(
    library: Library, family: str, damaged: str, crash: type[Exception]
) -> None:
    timestamp = int(time.time())
    signature = theirs_signed(library, SECRET, ID, timestamp, BODY)
    before = named(family, ID, str(timestamp), f"{damaged} {signature}")
    assert type(theirs(library, SECRET, before, BODY)) is crash
    assert ours(SECRET, before, BODY) == Verified(delivery_key=ID, scheme=family, secret_index=0)


@given(body=st.binary(min_size=1).filter(lambda data: not _is_utf8(data)), oracle=ORACLE)
def test_a_body_that_is_not_utf8_crashes_them_and_is_verified_by_us(body: bytes, oracle: tuple[Library, str]) -> None:
    library, family = oracle
    headers = sign(SECRET, message_id=ID, timestamp=int(time.time()), body=body, scheme=family)
    assert isinstance(theirs(library, SECRET, headers, body), UnicodeDecodeError)
    assert ours(SECRET, headers, body) == Verified(delivery_key=ID, scheme=family, secret_index=0)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_an_unsigned_svix_family_hides_a_signed_one_from_svix_and_not_from_us() -> None:
    timestamp = int(time.time())
    signed = sign(SECRET, message_id=ID, timestamp=timestamp, body=BODY.encode())
    headers = {**named("svix", "msg_other", str(timestamp), "v1,"), **signed}
    assert theirs(SvixWebhook, SECRET, headers, BODY) is not None
    assert ours(SECRET, headers, BODY) == Verified(delivery_key=ID, scheme="webhook", secret_index=0)
