"""Verifiers at their own door: published vectors, the edges of every rule, and whatever a stranger may send."""

import base64
import hashlib
import re
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.sources.signing import (
    RefusalReason,
    SecretInvalidError,
    SignatureRefusedError,
    StandardWebhooksVerifier,
    StaticHeaderVerifier,
    Verified,
    Verifier,
    new_secret,
    sign,
)

# Vectors of the Standard Webhooks reference libraries: Python and JavaScript (A), Rust (B).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
WRONG = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="

TOKEN = "a static token of some length"
FAMILIES = ("svix", "webhook")
ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""Every code point, lone surrogates included: aiohttp decodes what is not UTF-8 to those."""


def signed(
    family: str = "webhook", *, message_id: str = ID, timestamp: str = str(TIME), signature: str = SIGNATURE
) -> dict[str, str]:
    return {f"{family}-id": message_id, f"{family}-timestamp": timestamp, f"{family}-signature": signature}


def accept(
    headers: Iterable[tuple[str, str]] | dict[str, str],
    body: bytes = BODY,
    *,
    by: Verifier | None = None,
    now: float = TIME,
) -> Verified:
    verifier = by or StandardWebhooksVerifier([SECRET])
    return verifier.verify(CIMultiDictProxy(CIMultiDict(headers)), body, now=now)


def refuse(
    headers: Iterable[tuple[str, str]] | dict[str, str],
    body: bytes = BODY,
    *,
    by: Verifier | None = None,
    now: float = TIME,
) -> RefusalReason:
    with pytest.raises(SignatureRefusedError) as caught:
        accept(headers, body, by=by, now=now)
    assert str(caught.value) == caught.value.reason.value, "an error's text is its reason and nothing else"
    return caught.value.reason


# ---------------------------------------------------------------- published vectors


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "secret, message_id, timestamp, body, signature",
    [
        pytest.param(SECRET, ID, TIME, BODY, SIGNATURE, id="A"),
        pytest.param(
            OTHER_SECRET,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            id="B",
        ),
    ],
)
def test_published_vectors_are_accepted_and_reproduced(
    *, family: str, secret: str, message_id: str, timestamp: int, body: bytes, signature: str
) -> None:
    headers = sign(secret, message_id=message_id, timestamp=timestamp, body=body, scheme=family)
    assert headers == signed(family, message_id=message_id, timestamp=str(timestamp), signature=signature)
    verified = accept(headers, body, by=StandardWebhooksVerifier([secret]), now=timestamp)
    assert verified == Verified(delivery_key=message_id, scheme=family, secret_index=0)


@pytest.mark.parametrize(
    "signature, reason",
    [
        ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", RefusalReason.SIGNATURE_MISMATCH),
        ("v1,dawfeoifkpqwoekfpqoekf", RefusalReason.SIGNATURE_MALFORMED),
        ("v1,", RefusalReason.SIGNATURE_MALFORMED),
        (SIGNATURE[:8], RefusalReason.SIGNATURE_MALFORMED),
        ("", RefusalReason.SIGNATURE_MALFORMED),
        (V1A, RefusalReason.SIGNATURE_MALFORMED),
        (SIGNATURE.replace("v1", "v2"), RefusalReason.SIGNATURE_MALFORMED),
    ],
)
def test_published_wrong_signatures_are_refused(signature: str, reason: RefusalReason) -> None:
    assert refuse(signed(signature=signature)) is reason


@pytest.mark.parametrize("missing", ["id", "timestamp", "signature"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_header_is_refused(family: str, missing: str) -> None:
    headers = signed(family)
    del headers[f"{family}-{missing}"]
    assert refuse(headers) is RefusalReason.HEADERS_MISSING


def test_no_headers_at_all_are_refused() -> None:
    assert refuse({}) is RefusalReason.HEADERS_MISSING


def test_the_published_list_of_signatures_is_accepted() -> None:
    others = f"{WRONG} v2,{WRONG.removeprefix('v1,')}"
    assert accept(signed(signature=f"{others} {SIGNATURE} {WRONG}")).delivery_key == ID


# ---------------------------------------------------------------- the list of signatures


@pytest.mark.parametrize(
    "damaged",
    [
        V1A,
        "v1",
        "v1,",
        "v1,=",
        ",",
        "v1,a,b",
        "v1," + "!" * 44,
        "v1," + "é" * 44,
        "v1," + "\udcff" * 44,
        "v1,\ud800",
        WRONG + "=",
        WRONG[:-1],
        SIGNATURE.replace("v1", "V1"),
        SIGNATURE.replace("v1", "v2"),
        "",
        "\t",
        "\x00",
    ],
)
def test_a_damaged_or_unknown_entry_neither_counts_nor_spoils_its_neighbours(damaged: str) -> None:
    assert accept(signed(signature=f"{damaged} {SIGNATURE}")).secret_index == 0
    assert accept(signed(signature=f"{SIGNATURE} {damaged}")).secret_index == 0
    assert refuse(signed(signature=damaged)) in {RefusalReason.SIGNATURE_MALFORMED, RefusalReason.SIGNATURE_MISMATCH}


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(SIGNATURE[:-2] + "F=", id="bits after the last byte"),
        pytest.param(SIGNATURE[:-1], id="no padding"),
        pytest.param(SIGNATURE + "=", id="too much padding"),
        pytest.param(SIGNATURE.replace("/", "_").replace("+", "-"), id="the other base64 alphabet"),
        pytest.param(SIGNATURE[:10] + "\n" + SIGNATURE[10:], id="a line break"),
        pytest.param("v1," + base64.b64decode(SIGNATURE[3:]).hex(), id="hexadecimal"),
        pytest.param(SIGNATURE.replace(",", "="), id="another separator"),
        pytest.param(SIGNATURE + "\t", id="a tab after it"),
    ],
)
def test_a_signature_has_one_spelling(signature: str) -> None:
    assert refuse(signed(signature=signature)) in {RefusalReason.SIGNATURE_MALFORMED, RefusalReason.SIGNATURE_MISMATCH}


@pytest.mark.parametrize("filler", [WRONG, V1A, "junk", ""])
def test_sixteen_entries_are_looked_at_and_no_more(filler: str) -> None:
    assert accept(signed(signature=" ".join([*[filler] * 15, SIGNATURE, *[filler] * 500]))).delivery_key == ID
    assert refuse(signed(signature=" ".join([*[filler] * 16, SIGNATURE]))) in {
        RefusalReason.SIGNATURE_MALFORMED,
        RefusalReason.SIGNATURE_MISMATCH,
    }


# ---------------------------------------------------------------- families of headers


def test_header_names_are_found_in_any_case() -> None:
    assert accept({name.title(): value for name, value in signed("svix").items()}).scheme == "svix"
    assert accept({name.upper(): value for name, value in signed("webhook").items()}).scheme == "webhook"


@pytest.mark.parametrize("genuine, twin", [FAMILIES, FAMILIES[::-1]])
@pytest.mark.parametrize(
    "beside",
    [
        {"message_id": "msg_chosen_by_a_stranger"},
        {"message_id": "msg_chosen_by_a_stranger", "signature": WRONG},
        {"message_id": ""},
        {"message_id": "\x00"},
        {"timestamp": "yesterday"},
        {"timestamp": "0"},
        {"signature": ""},
        {"signature": "\udcff"},
    ],
)
def test_the_key_is_the_id_of_the_family_that_verified(genuine: str, twin: str, beside: dict[str, str]) -> None:
    headers = {**signed(twin, **beside), **signed(genuine)}
    assert accept(headers) == Verified(delivery_key=ID, scheme=genuine, secret_index=0)


@pytest.mark.parametrize("genuine, twin", [FAMILIES, FAMILIES[::-1]])
def test_an_incomplete_family_beside_a_signed_one_is_ignored(genuine: str, twin: str) -> None:
    assert accept({f"{twin}-id": "msg_other", **signed(genuine)}).delivery_key == ID
    assert accept({f"{twin}-signature": SIGNATURE, **signed(genuine)}).scheme == genuine


def test_headers_of_two_families_do_not_complete_each_other() -> None:
    mixed = {**signed("svix"), **signed("webhook")}
    del mixed["svix-id"], mixed["webhook-signature"]
    assert refuse(mixed) is RefusalReason.HEADERS_MISSING


def test_when_both_families_verify_the_first_names_the_key() -> None:
    second = sign(SECRET, message_id="msg_second", timestamp=TIME, body=BODY)
    assert accept({**second, **signed("svix")}) == Verified(delivery_key=ID, scheme="svix", secret_index=0)


def test_when_both_families_fail_the_reason_is_that_of_the_first() -> None:
    headers = {**signed("svix", timestamp="0"), **signed("webhook", signature=WRONG)}
    assert refuse(headers) is RefusalReason.TIMESTAMP_STALE


@pytest.mark.parametrize("name", [*signed("svix"), *signed("webhook")])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_header_sent_twice_is_refused_whatever_else_is_there(family: str, name: str) -> None:
    headers = signed(family)
    twice = [*headers.items(), (name.upper(), headers.get(name, "x")), (name, headers.get(name, "x"))]
    assert refuse(twice) is RefusalReason.HEADER_REPEATED
    assert accept(headers).scheme == family, "the same without the repetition is accepted"


# ---------------------------------------------------------------- ids and times


@pytest.mark.parametrize("message_id", ["m", "m" * 256, "with.dots.1614265330", "a b", "~!@#$%^&*()", "日本", "é"])
def test_printable_ids_are_accepted(message_id: str) -> None:
    headers = sign(SECRET, message_id=message_id, timestamp=TIME, body=BODY)
    assert accept(headers).delivery_key == message_id


@pytest.mark.parametrize("message_id", ["", "m" * 257, "a\x00", "a\nb", "\x7f", "\x85", "\ud800", "a\udcff", "\u202e"])
def test_other_ids_are_refused_before_the_signature_is_looked_at(message_id: str) -> None:
    assert refuse(signed(message_id=message_id)) is RefusalReason.ID_INVALID
    with pytest.raises(ValueError, match="message id"):
        sign(SECRET, message_id=message_id, timestamp=TIME, body=BODY)


@pytest.mark.parametrize("moment", [TIME, TIME + 0.25])
@pytest.mark.parametrize(
    "timestamp, reason",
    [
        (TIME + 301, RefusalReason.TIMESTAMP_FUTURE),
        (TIME + 10**9, RefusalReason.TIMESTAMP_FUTURE),
        (TIME - 301, RefusalReason.TIMESTAMP_STALE),
        (0, RefusalReason.TIMESTAMP_STALE),
    ],
)
def test_a_time_outside_the_tolerance_is_refused(timestamp: int, reason: RefusalReason, moment: float) -> None:
    assert refuse(sign(SECRET, message_id=ID, timestamp=timestamp, body=BODY), now=moment) is reason


@pytest.mark.parametrize("skew", [-300, -299, -1, 0, 1, 299, 300])
def test_a_time_within_the_tolerance_is_accepted(skew: int) -> None:
    assert accept(sign(SECRET, message_id=ID, timestamp=TIME + skew, body=BODY)).delivery_key == ID


def test_a_fraction_of_a_second_past_the_tolerance_is_refused() -> None:
    assert refuse(signed(), now=TIME + 300.001) is RefusalReason.TIMESTAMP_STALE
    assert refuse(signed(), now=TIME - 300.001) is RefusalReason.TIMESTAMP_FUTURE


def test_a_clock_that_is_no_number_accepts_nothing() -> None:
    assert refuse(signed(), now=float("nan")) is RefusalReason.TIMESTAMP_STALE


def test_the_tolerance_is_a_setting_of_at_least_a_second() -> None:
    strict = StandardWebhooksVerifier([SECRET], tolerance=1)
    assert accept(signed(), by=strict, now=TIME + 1).delivery_key == ID
    assert refuse(signed(), by=strict, now=TIME + 2) is RefusalReason.TIMESTAMP_STALE
    for tolerance in (0, -300):
        with pytest.raises(ValueError, match="tolerance"):
            StandardWebhooksVerifier([SECRET], tolerance=tolerance)


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "hello",
        f"{TIME}.0",
        f"{TIME}.9",
        f" {TIME}",
        f"{TIME}\n",
        f"+{TIME}",
        f"-{TIME}",
        "1_614_265_330",
        "1.61426533e9",
        "0x6037bd32",
        "nan",
        "inf",
        "".join(chr(0xFF10 + int(digit)) for digit in str(TIME)),
        "".join(chr(0x660 + int(digit)) for digit in str(TIME)),
        "²",
        "\udcff",
        f"000{TIME}",
        "9" * 13,
        "9" * 8000,
    ],
)
def test_a_timestamp_is_at_most_twelve_ascii_digits(timestamp: str) -> None:
    assert refuse(signed(timestamp=timestamp)) is RefusalReason.TIMESTAMP_INVALID


def test_a_timestamp_of_twelve_digits_is_a_time() -> None:
    assert refuse(signed(timestamp="9" * 12)) is RefusalReason.TIMESTAMP_FUTURE


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


# ---------------------------------------------------------------- any change, any input


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
    signed_is_known = body == BODY and abs(now - TIME) <= 300
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


# ---------------------------------------------------------------- secrets and their rotation


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


@pytest.mark.parametrize(
    "wrong, named",
    [({"scheme": "stripe"}, "scheme"), ({"timestamp": -1}, "timestamp"), ({"timestamp": 10**12}, "timestamp")],
)
def test_what_no_verifier_takes_is_not_signed(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"the {named} is not valid"):
        sign(SECRET, **{"message_id": ID, "timestamp": TIME, "body": BODY, **wrong})


# ---------------------------------------------------------------- static headers


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
    "token", ["", "short", "x" * 15, f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}é", f"{TOKEN}\x00", "\udcff" * 16, " " * 16]
)
def test_a_static_secret_must_be_long_and_fit_in_a_header(token: str) -> None:
    with pytest.raises(SecretInvalidError, match=r"^secret 2: (shorter than 16 characters|has white space)"):
        StaticHeaderVerifier("X-Api-Key", [TOKEN, token])
    assert StaticHeaderVerifier("X-Api-Key", ["x" * 16])


@pytest.mark.parametrize("header", ["", "X Api Key", "X-Api-Key:", "X-Api-Key\n", "é"])
def test_a_static_header_needs_a_header_name(header: str) -> None:
    with pytest.raises(ValueError, match="header name"):
        StaticHeaderVerifier(header, [TOKEN])


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


def test_reasons_are_a_closed_set_of_names_for_metrics() -> None:
    assert {reason.value for reason in RefusalReason} == {
        "headers_missing",
        "header_repeated",
        "id_invalid",
        "timestamp_invalid",
        "timestamp_stale",
        "timestamp_future",
        "signature_malformed",
        "signature_mismatch",
        "token_mismatch",
    }
