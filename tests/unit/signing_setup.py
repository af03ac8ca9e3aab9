"""Deliveries signed with published vectors, and what a verifier makes of them."""

from collections.abc import Iterable

import pytest
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.sources.signing import RefusalReason, SignatureRefusedError, StandardWebhooksVerifier, Verified, Verifier

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
