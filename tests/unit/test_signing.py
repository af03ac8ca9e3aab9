"""Standard Webhooks at their own door: published vectors, and the list of signatures."""

import base64

import pytest

from gateway.sources.signing import RefusalReason, StandardWebhooksVerifier, Verified, sign
from tests.unit.signing_setup import (
    BODY,
    FAMILIES,
    ID,
    OTHER_SECRET,
    SECRET,
    SIGNATURE,
    TIME,
    V1A,
    WRONG,
    accept,
    refuse,
    signed,
)


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
