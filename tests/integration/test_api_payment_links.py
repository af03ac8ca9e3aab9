"""A payment link being asked for is a trigger: the invoice's customer is made to exist, once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.testing.faults import Fault, FaultKind
from storage.records import JobStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, Answer, Callers, callers

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    await rig.add_nomod(outbound=False)
    async with callers(rig) as made:
        yield made


async def ask(who: Callers, invoice: str, **more: str) -> Answer:
    return await who.operator.ask("POST", f"{API}/payment-links", {"invoice_id": invoice, "connection": NOMOD, **more})


def an_invoice(rig: Rig, **fields: Any) -> tuple[str, str]:
    """Make a customer with an invoice, and return the ids of both."""
    ada = rig.flexprice.add_customer(**ADA)
    return ada["id"], str(rig.flexprice.add_invoice(ada["id"], **fields)["id"])


async def test_the_customer_is_made_to_exist_though_finalized_invoices_bring_none_here(rig: Rig, who: Callers) -> None:
    customer, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    assert rig.nomod.creations == []
    answer = await ask(who, invoice)
    assert answer.status == 202, answer.body
    assert {
        "invoice_id": invoice, "connection": NOMOD, "source": SOURCE, "customer_id": customer,
        "status": "customer_pending",
    }.items() <= answer.json.items()  # fmt: skip
    await rig.finish()
    job = await who.viewer.get(f"/jobs/{answer.json['job_id']}")
    assert (job["status"], job["subject"], job["delivery_id"]) == ("succeeded", invoice, None)
    assert await rig.linked(customer) is not None
    assert rig.flexprice.customers[customer]["metadata"]["nomod_customer_id"] == await rig.linked(customer)
    entry = (await who.viewer.items("/audit?action=payment_link.requested"))[0]
    assert (entry["actor"], entry["subject"]) == ("key:operator", invoice)


async def test_once_the_customer_is_there_a_connector_without_payment_links_says_so(rig: Rig, who: Callers) -> None:
    customer, invoice = an_invoice(rig)
    await ask(who, invoice)
    await rig.finish()
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "capability_missing")
    assert str(await rig.linked(customer)) in answer.json["detail"]


async def test_asking_again_while_the_customer_is_made_leads_to_the_same_job(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    await rig.pause(NOMOD)
    first, second = await ask(who, invoice), await ask(who, invoice)
    assert first.json["job_id"] == second.json["job_id"]
    await rig.resume(NOMOD)
    await rig.finish()
    assert len(await rig.jobs(kind="ensure_customer")) == len(rig.nomod.creations) == 1


async def test_after_an_unlink_a_payment_link_brings_the_customer_again(rig: Rig, who: Callers) -> None:
    customer, invoice = an_invoice(rig)
    await ask(who, invoice)
    await rig.finish()
    record = await rig.linked(customer)
    gone = await who.operator.ask("DELETE", f"{API}/mappings/{SOURCE}/customer/{customer}/{NOMOD}")
    assert gone.status == 204
    assert (await ask(who, invoice)).status == 202
    await rig.finish()
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


async def test_of_several_sources_one_must_be_named(rig: Rig, who: Callers) -> None:
    await rig.add_flexprice("flexprice-two")
    _, invoice = an_invoice(rig)
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (400, "request_invalid")
    assert "flexprice-two" in answer.json["detail"]
    assert (await ask(who, invoice, source=SOURCE)).status == 202


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
