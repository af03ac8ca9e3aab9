"""Two jobs, or a job and a person, write about one mapping at one moment: none loses what the other has written."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from connectors.testing.simulator import Call, Moment, Simulator
from gateway.pipeline.dispatch import check_job
from storage.records import JobStatus
from tests.configuring import NOMOD_EVENTS, SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Callers, callers
from tests.integration.payment_setup import an_invoice, ask, charge_event, tell
from tests.waiting import PATIENCE


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    await rig.add_nomod_events()
    async with callers(rig) as made:
        yield made


def once(service: Simulator, route: str, act: Callable[[], Awaitable[object]]) -> None:
    """Have something happen between the next answer to a request and its arrival."""
    done: list[Call] = []

    async def hook(call: Call, moment: Moment) -> None:
        if call.route == route and moment is Moment.AFTER and not done:
            done.append(call)
            await act()

    service.hook = hook


async def ended(rig: Rig, kind: str) -> None:
    """Wait until the newest job of a kind has ended."""
    open_ones = {JobStatus.PENDING, JobStatus.RUNNING}
    async with asyncio.timeout(PATIENCE):
        while True:
            token = await rig.store.change_token()
            jobs = await rig.jobs(kind=kind)
            if jobs and jobs[0].status not in open_ones:
                return
            await rig.store.wait_for_change(PATIENCE, since=token)


async def billed(rig: Rig) -> tuple[str, str]:
    """Have an invoice at Nomod; return its id at the platform, and there."""
    _, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    [mapping] = await rig.mappings(entity_type="invoice", entity_id=invoice)
    return invoice, str(mapping.provider_entity_id)


async def test_a_payment_and_a_void_at_the_same_moment_are_both_kept(rig: Rig, who: Callers) -> None:
    """The payment's job has read the mapping when the void's job writes."""
    invoice, record = await billed(rig)
    charge = rig.nomod.pay_invoice(record)
    rig.nomod.invoices[record]["status"] = "cancelled"

    async def voided() -> None:
        rig.flexprice.void_invoice(invoice)
        await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]})
        await ended(rig, "void_invoice")

    once(rig.flexprice, f"GET /v1/invoices/{invoice}", voided)
    await tell(rig, charge)
    [mapping] = await rig.mappings(entity_type="invoice")
    assert [each["id"] for each in mapping.notes["payments"]] == [charge]
    assert mapping.notes["voided_at"]


async def test_a_payment_stays_with_a_link_whose_address_is_read_meanwhile(rig: Rig, who: Callers) -> None:
    """A person has mapped the link; the job that reads it has its answer when the link is paid."""
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    path = f"{API}/mappings/{SOURCE}/payment_link/{invoice}/{NOMOD}"
    assert (await who.operator.ask("DELETE", path)).status == 204
    assert (await who.operator.ask("PUT", path, {"provider_entity_id": record})).status == 200
    paid: list[str] = []

    async def pay() -> None:
        paid.append(rig.nomod.pay_link(record))
        await rig.send(charge_event(rig, paid[0]), source=NOMOD_EVENTS)
        await ended(rig, "record_payment")

    once(rig.nomod, f"GET /v1/links/{record}", pay)
    await ask(who, invoice)
    await rig.finish()
    [mapping] = await rig.mappings(entity_type="payment_link")
    assert [(each["id"], each["platform"]) for each in mapping.notes["payments"]] == [(paid[0], "told")]
    assert mapping.details["url"] == rig.nomod.links[record]["url"]
    assert len(rig.flexprice.payments) == 1


async def test_a_record_that_a_person_unlinks_while_its_payment_is_read_stays_unlinked(rig: Rig, who: Callers) -> None:
    invoice, record = await billed(rig)
    charge = rig.nomod.pay_invoice(record)
    path = f"{API}/mappings/{SOURCE}/invoice/{invoice}/{NOMOD}"
    once(rig.flexprice, f"GET /v1/invoices/{invoice}", lambda: who.operator.ask("DELETE", path))
    await tell(rig, charge)
    assert not await rig.mappings(entity_type="invoice")
    assert not rig.flexprice.payments, "it is nobody's business any more"


async def test_an_invoice_that_a_person_links_elsewhere_while_it_is_voided_is_voided_there_too(
    rig: Rig, who: Callers
) -> None:
    invoice, record = await billed(rig)
    other, elsewhere = await billed(rig)
    gone = await who.operator.ask("DELETE", f"{API}/mappings/{SOURCE}/invoice/{other}/{NOMOD}")
    assert gone.status == 204
    path, moved = f"{API}/mappings/{SOURCE}/invoice/{invoice}/{NOMOD}", list[Any]()

    async def move() -> None:
        moved.append((await who.operator.ask("PUT", path, {"provider_entity_id": elsewhere})).status)

    once(rig.nomod, f"PATCH /v1/invoices/{record}/edit", move)
    rig.flexprice.void_invoice(invoice)
    await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]})
    await rig.finish()
    assert moved == [200]
    assert {each["status"] for each in rig.nomod.invoices.values()} == {"cancelled"}
    [mapping] = await rig.mappings(entity_type="invoice", entity_id=invoice)
    assert (mapping.provider_entity_id, "voided_at" in mapping.notes) == (elsewhere, True)


async def test_a_customer_that_a_person_unlinks_while_it_is_made_active_again_stays_unlinked(
    rig: Rig, who: Callers
) -> None:
    await rig.add_quickbooks(inactive="reactivate")
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"]
    await rig.finalize(ada)
    await rig.finish()
    [mapping] = await rig.mappings(entity_type="customer", connection=QUICKBOOKS)
    rig.intuit.deactivate(str(mapping.provider_entity_id))
    path = f"{API}/mappings/{SOURCE}/customer/{ada}/{QUICKBOOKS}"
    once(rig.intuit, f"POST /v3/company/{rig.intuit.realm_id}/customer", lambda: who.operator.ask("DELETE", path))
    await rig.store.add_job(check_job(mapping, now=rig.now()), now=rig.now())
    await rig.refresh()
    await rig.finish()
    assert not await rig.mappings(entity_type="customer", connection=QUICKBOOKS)
