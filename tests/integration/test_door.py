"""The door, from outside: every answer of the contract, and no answer but those for whatever a stranger sends."""

import asyncio
import json
import random
import time
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from gateway import keys
from gateway.configuration.specs import SourceSpec
from gateway.sources.base import Verification
from gateway.sources.signing import new_secret, sign
from tests.harness import SOURCE, Rig

BODY = b'{"event_type":"customer.created","customer":{"id":"cust_1"}}'
TOKEN = "a-token-that-is-long-enough"
HEAD = f"POST /webhooks/{SOURCE} HTTP/1.1\r\nHost: gateway\r\n".encode()

STRANGE = {
    "no HTTP at all": b"\x00\x01\x02\r\n\r\n",
    "a header without a colon": HEAD + b"Bad header\r\n\r\n",
    "a blank in a header's name": HEAD + b"Bad header: x\r\n\r\n",
    "a header of 40 kB": HEAD + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
    "thousands of headers": HEAD + b"".join(b"X%d: a\r\n" % n for n in range(3000)) + b"\r\n",
    "a length and chunks": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "chunks that are none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a gzipped body": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    "two encodings": HEAD + b"Content-Encoding: identity\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n",
    "a repeated signature header": HEAD + b"svix-id: a\r\nsvix-id: a\r\nContent-Length: 0\r\n\r\n",
}  # fmt: skip


async def raw(rig: Rig, request: bytes, *, end: bool = False) -> tuple[int, dict[str, Any]]:
    """Send bytes; return status and problem document."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
    writer.write(request)
    if end:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.read(1 << 20), 15)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)


async def post(rig: Rig, body: bytes, headers: dict[str, str], *, source: str = SOURCE) -> tuple[int, dict[str, Any]]:
    """Post; return status and decoded answer."""
    url = f"{rig.gateway.url}/webhooks/{source}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def signed(
    rig: Rig, body: bytes = BODY, *, message_id: str = "msg_1", at: float = 0.0, scheme: str = "svix"
) -> dict[str, str]:
    """Return the headers of a delivery signed `at` seconds from now."""
    return sign(rig.secret, message_id=message_id, timestamp=int(time.time() + at), body=body, scheme=scheme)


async def test_a_signed_delivery_is_stored_once_and_repeats_are_told_so(rig: Rig) -> None:
    """202 first, 200 for the same id, whichever header family carries it."""
    await rig.add_flexprice()
    status, first = await post(rig, BODY, signed(rig))
    assert (status, first["duplicate"]) == (202, False)
    for scheme in ("svix", "webhook"):
        assert await post(rig, BODY, signed(rig, scheme=scheme)) == (200, {**first, "duplicate": True})


async def test_the_unsigned_twin_of_a_signed_family_is_ignored(rig: Rig) -> None:
    """Both families are there and only one verifies: its id is the key."""
    await rig.add_flexprice()
    twin = {name.replace("svix", "webhook"): "unsigned" for name in signed(rig)}
    status, answer = await post(rig, BODY, {**twin, **signed(rig, message_id="msg_of_svix")})
    stored = await rig.store.get_delivery(answer["delivery_id"])
    assert (status, stored.delivery_key, stored.scheme) == (202, "msg_of_svix", "svix")


@pytest.mark.parametrize("at", [-310, 310])
async def test_stale_and_future_signatures_are_refused(rig: Rig, at: float) -> None:
    """Five minutes both ways, and one body for all causes."""
    await rig.add_flexprice()
    status, stale = await post(rig, BODY, signed(rig, at=at))
    assert (status, stale["code"]) == (401, "signature_invalid")
    assert await post(rig, BODY, {}) == (401, stale)
    assert await post(rig, BODY + b" ", signed(rig)) == (401, stale)


async def test_every_secret_is_tried_and_the_one_that_matched_is_recorded(rig: Rig) -> None:
    """A rotation can be watched."""
    await rig.add_flexprice(secrets=(SecretStr(new_secret()), SecretStr(rig.secret)))
    _, answer = await post(rig, BODY, signed(rig))
    assert (await rig.store.get_delivery(answer["delivery_id"])).secret_index == 1


async def test_a_static_header_is_keyed_by_its_body(rig: Rig) -> None:
    """The platform sends no id: the same body is the same delivery."""
    spec = SourceSpec(
        name="native", platform="flexprice", verification=Verification.STATIC_HEADER, secrets=(SecretStr(TOKEN),),
        header="X-Shared-Token",
    )  # fmt: skip
    await rig.put_source(spec)
    headers = {"X-Shared-Token": TOKEN}
    assert (await post(rig, BODY, headers, source="native"))[0] == 202
    assert (await post(rig, BODY, headers, source="native"))[0] == 200
    status, answer = await post(rig, BODY + b"\n", headers, source="native")
    stored = await rig.store.get_delivery(answer["delivery_id"])
    assert status == 202
    assert TOKEN.encode() not in (stored.headers or b"")
    assert (await post(rig, BODY, {"X-Shared-Token": TOKEN + "x"}, source="native"))[0] == 401
    assert (await post(rig, BODY, {}, source="native"))[0] == 401


async def test_an_authentic_body_that_cannot_be_read_is_kept_and_told(rig: Rig) -> None:
    """It is acknowledged, and ends as failed with the reason; an unknown event ends as ignored."""
    await rig.add_flexprice()
    for body, status, reason in (
        (b"\xff\x00 not json", "failed", "payload_invalid"),
        (b'{"event_type":"invoice.update.finalized"}', "failed", "payload_invalid"),
        (b'{"event_type":"wallet.created","wallet":{}}', "ignored", "not a trigger"),
    ):
        answered, answer = await post(rig, body, signed(rig, body, message_id=f"msg_{len(body)}"))
        assert answered == 202
        await rig.finish()
        stored = await rig.store.get_delivery(answer["delivery_id"])
        assert (str(stored.status), stored.body) == (status, body)
        assert reason in (stored.reason or "")


async def test_unknown_and_disabled_sources_and_other_methods(rig: Rig) -> None:
    """404, 405, with the code and with Allow."""
    await rig.add_flexprice()
    assert (await post(rig, BODY, signed(rig), source="nobody"))[1]["code"] == "source_unknown"
    status, answer = await raw(rig, f"GET /webhooks/{SOURCE} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    assert (status, answer["code"]) == (405, "method_not_allowed")


async def test_a_large_body_is_refused_before_it_is_read(rig: Rig) -> None:
    """By its announced length, and by what really comes."""
    await rig.add_flexprice()
    limit = rig.settings.max_body_bytes
    status, answer = await raw(rig, HEAD + f"Content-Length: {limit + 1}\r\n\r\n".encode())
    assert (status, answer["code"]) == (413, "payload_too_large")
    chunk = b"%x\r\n" % (limit + 1) + b"a" * (limit + 1) + b"\r\n0\r\n\r\n"
    status, answer = await raw(rig, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert (status, answer["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("request_bytes", STRANGE.values(), ids=STRANGE.keys())
async def test_what_cannot_be_read_is_malformed(rig: Rig, request_bytes: bytes) -> None:
    """400 malformed_request as a problem document, never a 5xx."""
    await rig.add_flexprice()
    status, answer = await raw(rig, request_bytes)
    assert (status, answer["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("named", ["identity", "Identity", ""])
async def test_a_body_that_is_said_to_be_as_it_is_is_taken(rig: Rig, named: str) -> None:
    await rig.add_flexprice()
    assert (await post(rig, BODY, signed(rig) | {"Content-Encoding": named}))[0] == 202


async def test_random_requests_get_an_answer_below_500_and_store_nothing(rig: Rig, rng: random.Random) -> None:
    """Whatever the bytes of headers and body: refused, and the gateway goes on."""
    await rig.add_flexprice()
    good = signed(rig)
    for _ in range(150):
        headers = dict(good)
        spoilt = rng.choice([*headers])
        headers[spoilt] = "".join(
            chr(rng.choice([*range(0x20, 0x7F), *range(0x80, 0x100)])) for _ in range(rng.randint(0, 60))
        )
        body = rng.randbytes(rng.randint(0, 300))
        lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())
        status, _ = await raw(rig, HEAD + lines + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert status in (400, 401)
    assert (await rig.store.list_deliveries()).items == []
    assert (await post(rig, BODY, good))[0] == 202


async def test_refusals_are_counted_and_the_last_few_are_kept_without_their_bodies(rig: Rig) -> None:
    """A wrong secret can be diagnosed, and nothing of the signature or the body is kept."""
    await rig.add_flexprice()
    wrong = sign(new_secret(), message_id="msg_wrong", timestamp=int(time.time()), body=BODY, scheme="svix")
    for _ in range(3):
        await post(rig, BODY, wrong)
    await rig.gateway.app[keys.QUARANTINE].flush(rig.store)
    activity = await rig.store.source_activity(SOURCE)
    assert activity.rejected == {"signature_mismatch": 3}
    kept = await rig.store.list_rejections(SOURCE)
    assert kept[0].body_bytes == len(BODY)
    assert wrong["svix-signature"] not in json.dumps([rejection.headers for rejection in kept])
