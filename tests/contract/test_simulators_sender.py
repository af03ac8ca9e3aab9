"""The simulated senders: signatures that other libraries take, static headers, and retries as the vendors do them."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable

import pytest
from aiohttp import web
from multidict import CIMultiDict
from standardwebhooks.webhooks import Webhook

from connectors.testing.simulator import Call, Fault, FaultKind, Moment, Simulator
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.sender import SVIX_SCHEDULE, Mode, Shape, Target, WebhookSender
from gateway.sandbox.tithely import TithelySimulator
from gateway.sources.signing import StandardWebhooksVerifier, StaticHeaderVerifier, new_secret
from tests.contract.simulated import Clock

TOKEN = "a shared secret, long enough"


class Receiver(Simulator):
    """Takes every POST with 202."""

    def routes(self) -> Iterable[web.RouteDef]:
        async def take(_: web.Request) -> web.Response:
            return web.json_response({"delivery_id": "d_1", "duplicate": False}, status=202)

        return [web.post("/webhooks/{source}", take)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
def target(receiver: Receiver) -> Target:
    return Target(url=f"{receiver.url}/webhooks/flexprice", secrets=(new_secret(),))


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
async def sender(rng: random.Random, waits: list[float]) -> AsyncIterator[WebhookSender]:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with WebhookSender(schedule=(0, 5, 300), rng=rng, sleep=sleep) as made:
        yield made


@pytest.fixture
def flexprice(rng: random.Random) -> FlexpriceSimulator:
    return FlexpriceSimulator(clock=Clock(), rng=rng)


def headers_of(call: Call) -> CIMultiDict[str]:
    return CIMultiDict(call.headers)


@pytest.mark.parametrize("mode", [Mode.SVIX, Mode.WEBHOOK])
async def test_a_signed_delivery_verifies_here_and_with_the_reference_library(
    receiver: Receiver, sender: WebhookSender, target: Target, mode: Mode
) -> None:
    target = Target(url=target.url, secrets=target.secrets, mode=mode)
    sent = await sender.send(target, {"event_type": "customer.updated", "customer": {"id": "cust_1"}})
    assert (sent.status, sent.delivered, json.loads(sent.attempts[0].body)["delivery_id"]) == (202, True, "d_1")
    (call,) = receiver.calls
    assert call.body == sent.body == b'{"customer":{"id":"cust_1"},"event_type":"customer.updated"}'
    headers = headers_of(call)
    verified = StandardWebhooksVerifier(target.secrets).verify(headers, call.body, now=time.time())
    assert (verified.delivery_key, verified.scheme) == (sent.message_id, mode.value)
    neutral = {name.lower().replace("svix-", "webhook-"): value for name, value in call.headers.items()}
    Webhook(target.secrets[0]).verify(call.body, neutral)
    assert headers["Content-Type"] == "application/json"
    assert sent.message_id.startswith("msg_")
    assert len(sent.message_id) == 31


async def test_a_native_delivery_has_the_static_header_and_neither_id_nor_signature(
    receiver: Receiver, sender: WebhookSender, target: Target
) -> None:
    native = Target(url=target.url, secrets=(TOKEN,), mode=Mode.NATIVE, header="X-Shared")
    await sender.send(native, {"event_type": "x", "customer": {}})
    (call,) = receiver.calls
    assert call.body == b'{"event_type":"x","customer":{}}', "the order of the struct, not of the alphabet"
    headers = headers_of(call)
    StaticHeaderVerifier("X-Shared", [TOKEN]).verify(headers, call.body, now=0)
    assert not [name for name in headers if name.lower().startswith(("svix-", "webhook-"))]


async def test_while_a_secret_is_rotated_both_of_them_sign(
    receiver: Receiver, sender: WebhookSender, target: Target
) -> None:
    old, new = new_secret(), new_secret()
    await sender.send(Target(url=target.url, secrets=(old, new)), b"{}")
    (call,) = receiver.calls
    assert call.headers["svix-signature"].count("v1,") == 2
    for secret in (old, new):
        StandardWebhooksVerifier([secret]).verify(headers_of(call), call.body, now=time.time())


async def test_raw_bytes_are_sent_as_they_are(receiver: Receiver, sender: WebhookSender, target: Target) -> None:
    await sender.send(target, b"\xff not json")
    assert receiver.calls[0].body == b"\xff not json"


async def test_a_refused_message_is_tried_again_with_its_id_and_a_fresh_signature(
    receiver: Receiver, target: Target, rng: random.Random
) -> None:
    clock = Clock()

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    receiver.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, status=503), Fault(kind=FaultKind.DROP_AFTER))
    async with WebhookSender(schedule=SVIX_SCHEDULE, clock=clock, rng=rng, sleep=sleep) as sender:
        sent = await sender.send(target, b"{}")
        assert [attempt.status for attempt in sent.attempts] == [503, None, 202]
        assert sent.attempts[1].error.startswith("ServerDisconnectedError")
        assert sender.sent == [sent]
    ids = {headers_of(call)["svix-id"] for call in receiver.calls}
    stamps = [int(headers_of(call)["svix-timestamp"]) for call in receiver.calls]
    assert ids == {sent.message_id}
    assert [stamp - stamps[0] for stamp in stamps] == [0, 5, 305]


async def test_a_message_that_is_never_taken_is_given_up_after_the_schedule(
    receiver: Receiver, sender: WebhookSender, target: Target, waits: list[float]
) -> None:
    receiver.faults.add(Fault(kind=FaultKind.REFUSE, status=401, times=9))
    sent = await sender.send(target, b"{}")
    assert (len(sent.attempts), sent.status, sent.delivered) == (3, 401, False)
    assert waits == [0, 5, 300]
    assert len((await sender.send(target, b"{}", tries=1)).attempts) == 1


async def test_a_redirect_is_a_failure_and_is_not_followed(
    receiver: Receiver, sender: WebhookSender, target: Target
) -> None:
    receiver.faults.add(Fault(kind=FaultKind.REDIRECT))
    sent = await sender.send(target, b"{}")
    assert [attempt.status for attempt in sent.attempts] == [302, 202]


async def test_retry_after_makes_the_wait_longer_but_at_most_twice_as_long(
    receiver: Receiver, sender: WebhookSender, target: Target, waits: list[float]
) -> None:
    receiver.faults.add(
        Fault(kind=FaultKind.THROTTLE, retry_after=7), Fault(kind=FaultKind.THROTTLE, retry_after=86_400)
    )
    await sender.send(target, b"{}")
    assert waits == [0, 7, 600]


async def test_a_receiver_that_is_too_slow_counts_as_one_that_failed(receiver: Receiver, target: Target) -> None:
    receiver.faults.add(Fault(kind=FaultKind.HANG_AFTER, seconds=600))
    async with WebhookSender(schedule=(0,), timeout=0.2) as sender:
        sent = await sender.send(target, b"{}")
    assert (sent.status, sent.attempts[0].error.startswith("TimeoutError")) == (None, True)


async def test_events_side_by_side_have_ids_of_their_own_and_a_given_id_is_kept(
    receiver: Receiver, sender: WebhookSender, target: Target
) -> None:
    results = await sender.send_all(target, [b"{}"] * 20)
    assert all(sent.delivered for sent in results)
    assert len({sent.message_id for sent in results}) == 20
    again = await sender.send(target, b"{}", message_id=results[0].message_id)
    assert again.message_id == results[0].message_id
    assert len(receiver.calls) == 21


def test_a_schedule_without_attempts_is_refused_and_no_secret_is_shown(target: Target) -> None:
    with pytest.raises(ValueError, match="at least one"):
        WebhookSender(schedule=())
    assert target.secrets[0] not in repr(target)


async def test_the_simulator_delivers_its_events_and_when_asked_its_echoes(
    receiver: Receiver, target: Target, flexprice: FlexpriceSimulator
) -> None:
    flexprice.sender = WebhookSender(schedule=(0, 0))
    flexprice.targets.append(target)
    async with flexprice:
        invoice = flexprice.add_invoice(flexprice.add_customer()["id"])
        (sent,) = await flexprice.finalized(invoice["id"], shape=Shape.MINIMAL_2026_08)
        assert sent.delivered
        assert json.loads(receiver.calls[0].body)["event_type"] == "invoice.update.finalized"
        customer = flexprice.add_customer()
        flexprice.edit_customer(customer["id"], name="Other")
        await flexprice.settle()
        assert len(receiver.calls) == 1, "echoes are only noted unless they are to be delivered"
        flexprice.deliver_echo = True
        flexprice.edit_customer(customer["id"], name="Third")
        await flexprice.settle()
        assert json.loads(receiver.calls[1].body)["customer"]["name"] == "Third"
        assert [echo["customer"]["name"] for echo in flexprice.echoes] == ["Other", "Third"]


async def test_stopping_the_simulator_drops_the_echoes_under_way(
    receiver: Receiver, target: Target, flexprice: FlexpriceSimulator
) -> None:
    arrived = asyncio.Event()

    async def hang(_: Call, moment: Moment) -> None:
        arrived.set()
        await asyncio.sleep(600)

    receiver.hook = hang
    flexprice.sender = WebhookSender(timeout=600)
    flexprice.targets.append(target)
    flexprice.deliver_echo = True
    async with flexprice:
        flexprice.edit_customer(flexprice.add_customer()["id"], name="Other")
        await arrived.wait()
    (sent,) = flexprice.sender.sent
    assert sent.attempts == []


async def test_the_envelope_for_a_gift_is_signed_like_any_other_and_leaves_out_what_is_not_known(
    receiver: Receiver, sender: WebhookSender, target: Target, rng: random.Random
) -> None:
    tithely = TithelySimulator(clock=Clock(), rng=rng)
    charge_id = tithely.add_gift(last_name="Doe", email="jane@example.com", amount=2500)
    sent = await sender.send(
        Target(url=target.url, secrets=target.secrets, mode=Mode.WEBHOOK), tithely.event(charge_id)
    )
    assert json.loads(sent.body) == {
        "type": "transaction.created",
        "timestamp": "2026-11-20T08:30:00Z",
        "data": {
            "transaction_id": charge_id,
            "donor_id": next(iter(tithely.accounts)),
            "last_name": "Doe",
            "email": "jane@example.com",
            "amount": "2500",
            "currency": "USD",
        },
    }
    assert "donor_id" not in tithely.event(charge_id, with_donor_id=False)["data"]
    assert receiver.calls[0].status == 202
