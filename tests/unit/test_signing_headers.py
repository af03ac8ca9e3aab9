"""The headers of a signed message: families of names, ids and times, and the edges of every rule."""

from typing import Any

import pytest

from gateway.sources.signing import RefusalReason, StandardWebhooksVerifier, Verified, sign
from tests.unit.signing_setup import BODY, FAMILIES, ID, SECRET, SIGNATURE, TIME, WRONG, accept, refuse, signed

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


def test_the_tolerance_is_counted_in_whole_seconds_as_timestamps_are() -> None:
    assert accept(signed(), now=TIME + 300.999).delivery_key == ID
    assert refuse(signed(), now=TIME + 301.0) is RefusalReason.TIMESTAMP_STALE
    assert accept(signed(), now=TIME - 300.0).delivery_key == ID
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


@pytest.mark.parametrize(
    "wrong, named",
    [({"scheme": "stripe"}, "scheme"), ({"timestamp": -1}, "timestamp"), ({"timestamp": 10**12}, "timestamp")],
)
def test_what_no_verifier_takes_is_not_signed(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"the {named} is not valid"):
        sign(SECRET, **{"message_id": ID, "timestamp": TIME, "body": BODY, **wrong})
