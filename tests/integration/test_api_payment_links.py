"""A payment link being asked for: the invoice's customer is made to exist, then the link, once, for what is open."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from pydantic import SecretStr

from connectors.testing.faults import Fault, FaultKind
from gateway.sandbox.flexprice import FlexpriceSimulator
from storage.records import JobStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Callers, callers
from tests.integration.payment_setup import an_invoice, ask


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    await rig.add_nomod(outbound=False)
    async with callers(rig) as made:
        yield made


async def test_the_customer_and_then_the_link_though_finalized_invoices_bring_nothing_here(
    rig: Rig, who: Callers
) -> None:
    customer, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    assert rig.nomod.creations == []
    answer = await ask(who, invoice)
    assert answer.status == 200, answer.body
    [(record, made)] = rig.nomod.links.items()
    assert {
        "invoice_id": invoice, "connection": NOMOD, "source": SOURCE, "customer_id": customer, "status": "ready",
        "url": made["url"], "amount": "1500.00", "currency": "AED", "provider_entity_id": record,
    }.items() <= answer.json.items()  # fmt: skip
    assert (made["bill"].amount, made["payment_expiry_limit"]) == (Decimal(1500), 1)
    assert not made["allow_tip"]
    assert not made["allow_tabby"]
    await rig.finish()
    await rig.check()
    assert rig.flexprice.customers[customer]["metadata"]["nomod_customer_id"] == await rig.linked(customer)
    assert not rig.nomod.invoices
    entry = (await who.viewer.items("/audit?action=payment_link.requested"))[0]
    assert (entry["actor"], entry["subject"]) == ("key:operator", invoice)


async def test_who_does_not_wait_is_told_where_to_look(rig: Rig, who: Callers) -> None:
    customer, invoice = an_invoice(rig)
    await rig.pause(NOMOD)
    answer = await ask(who, invoice, wait_seconds=0)
    assert (answer.status, answer.json["status"]) == (202, "customer_pending")
    await rig.resume(NOMOD)
    await rig.finish()
    job = await who.viewer.get(f"/jobs/{answer.json['job_id']}")
    assert (job["status"], job["subject"], job["delivery_id"]) == ("succeeded", invoice, None)
    assert await rig.linked(customer) is not None
    assert (await ask(who, invoice)).json["url"] == next(iter(rig.nomod.links.values()))["url"]


async def test_asking_twice_gives_the_same_link_and_ten_at_once_do(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    answers = await asyncio.gather(*[ask(who, invoice) for _ in range(10)])
    assert {answer.json["url"] for answer in answers} == {(await ask(who, invoice)).json["url"]}
    assert len(rig.nomod.links) == 1
    await rig.finish()
    await rig.check()


async def test_a_changed_amount_switches_the_old_link_off_and_brings_a_new_one(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    first = await ask(who, invoice)
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    second = await ask(who, invoice)
    assert (second.status, second.json["amount"]) == (200, "1000.00")
    assert second.json["url"] != first.json["url"]
    old = rig.nomod.links[first.json["provider_entity_id"]]
    assert old["status"] == "disabled"
    rig.flexprice.invoices[invoice].update(amount_paid="0", amount_remaining="1500")
    third = await ask(who, invoice)
    assert third.json["amount"] == "1500.00"
    assert third.json["url"] not in {first.json["url"], second.json["url"]}
    await rig.finish()
    await rig.check()


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.FAIL_AFTER, FaultKind.FAIL_BEFORE])
async def test_a_lost_answer_makes_no_second_link(rig: Rig, who: Callers, kind: FaultKind) -> None:
    _, invoice = an_invoice(rig)
    rig.nomod.faults.add(Fault(kind=kind, route="POST /v1/links"))
    answer = await ask(who, invoice, wait_seconds=0)
    assert answer.status == 202
    await rig.finish()
    await rig.check()
    again = await ask(who, invoice)
    assert (again.status, len(rig.nomod.links)) == (200, 1)
    assert [again.json["provider_entity_id"]] == list(rig.nomod.links)


async def test_an_account_that_adds_tax_is_noticed_before_anybody_gets_the_link(rig: Rig, who: Callers) -> None:
    rig.nomod.account_tax = Decimal(5)
    _, invoice = an_invoice(rig)
    answer = await ask(who, invoice)
    assert (answer.status, answer.json["status"], answer.json.get("url")) == (202, "needs_review", None)
    review = await rig.open_review()
    assert (review.kind, review.entity_type) == ("amount_differs", "payment_link")
    assert "1575.00 AED" in review.reason
    assert "1500.00 AED" in review.reason


async def test_a_link_that_was_paid_is_not_made_again_while_the_platform_calls_it_open(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    first = await ask(who, invoice)
    rig.nomod.links[first.json["provider_entity_id"]]["payments"] = 1
    gone = await who.operator.ask("DELETE", f"{API}/mappings/{SOURCE}/payment_link/{invoice}/{NOMOD}")
    assert gone.status == 204
    answer = await ask(who, invoice)
    assert answer.json["status"] == "needs_review"
    assert (await rig.open_review()).kind == "already_paid"
    assert len(rig.nomod.links) == 1


async def test_a_voided_invoice_has_its_link_switched_off(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    link = (await ask(who, invoice)).json["provider_entity_id"]
    rig.flexprice.void_invoice(invoice)
    await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]})
    await rig.finish()
    assert rig.nomod.links[link]["status"] == "disabled"
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")


async def test_an_invoice_that_is_paid_gets_none(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig, payment_status="SUCCEEDED")
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert not rig.nomod.creations


async def test_asking_again_while_the_customer_is_made_leads_to_the_same_job(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    await rig.pause(NOMOD)
    first, second = await ask(who, invoice, wait_seconds=0), await ask(who, invoice, wait_seconds=0)
    assert first.json["job_id"] == second.json["job_id"]
    await rig.resume(NOMOD)
    await rig.finish()
    assert len(await rig.jobs(kind="ensure_customer")) == len(rig.nomod.creations) == 1


@pytest.mark.parametrize("connection", [NOMOD, QUICKBOOKS])
async def test_a_link_that_is_asked_for_before_the_webhook_comes_keeps_no_invoice_from_being_made(
    rig: Rig, who: Callers, connection: str
) -> None:
    await rig.add_nomod(invoices=True)
    await rig.add_quickbooks(invoices=True)
    rig.intuit.quirks.home_currency = "AED"
    _, invoice = an_invoice(rig)
    await ask(who, invoice, connection=connection, wait_seconds=0)
    await rig.finish()
    await rig.announce(invoice)
    await rig.finish()
    assert (len(rig.nomod.invoices), len(rig.intuit.invoices)) == (1, 1)
    await rig.check(all_linked=True)


async def test_after_an_unlink_a_payment_link_brings_the_customer_again(rig: Rig, who: Callers) -> None:
    customer, invoice = an_invoice(rig)
    await ask(who, invoice)
    await rig.finish()
    record = await rig.linked(customer)
    gone = await who.operator.ask("DELETE", f"{API}/mappings/{SOURCE}/customer/{customer}/{NOMOD}")
    assert gone.status == 204
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    assert (await ask(who, invoice)).status == 200
    assert await rig.linked(customer) == record
    assert len(rig.nomod.creations) == 1


async def test_an_invoice_that_is_not_finalized_gets_none(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    rig.flexprice.invoices[invoice]["invoice_status"] = "VOIDED"
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert "VOIDED" in answer.json["detail"]
    assert await rig.jobs(status=JobStatus.PENDING) == []


async def test_what_is_not_there_is_named(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    unknown = await ask(who, "inv_none")
    assert (unknown.status, unknown.code) == (404, "invoice_not_found")
    for more in ({"connection": "nobody"}, {"source": "nobody"}):
        answer = await ask(who, invoice, **more)
        assert (answer.status, answer.code) == (404, "not_found")


async def test_of_several_sources_the_one_that_knows_the_invoice_is_asked(rig: Rig, who: Callers) -> None:
    other = FlexpriceSimulator(clock=rig.clock.unix)
    async with other:
        await rig.add_flexprice(
            "tirdad-prod", platform="tirdad", api_url=other.api_url, api_key=SecretStr(other.api_key)
        )
        _, invoice = an_invoice(rig)
        answer = await ask(who, invoice)
        assert (answer.status, answer.json["source"]) == (200, SOURCE)
        omar = other.add_customer(name="Omar Khayyam", email="omar@example.com")
        theirs = await ask(who, str(other.add_invoice(omar["id"])["id"]))
        assert (theirs.status, theirs.json["source"]) == (200, "tirdad-prod")
        assert (await ask(who, "inv_none")).code == "invoice_not_found"


async def test_where_two_sources_have_such_an_invoice_one_must_be_named(rig: Rig, who: Callers) -> None:
    await rig.add_flexprice("flexprice-two")
    _, invoice = an_invoice(rig)
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (400, "request_invalid")
    assert "flexprice-two" in answer.json["detail"]
    assert (await ask(who, invoice, source=SOURCE)).status == 200


async def test_a_platform_that_does_not_answer_is_told_as_such(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    rig.flexprice.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET *", times=99))
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (502, "source_unavailable")


async def test_without_a_source_that_has_invoices_there_is_none(rig: Rig) -> None:
    await rig.add_nomod()
    async with callers(rig) as who:
        answer = await ask(who, "inv_1")
        assert (answer.status, answer.code) == (404, "invoice_not_found")
