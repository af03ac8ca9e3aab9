"""A payment link that a person is asked about, or whose create is in doubt, when the platform voids its invoice."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from connectors.testing.faults import Fault, FaultKind
from storage.records import DeliveryStatus, JobStatus, MappingStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, Answer, Callers, callers
from tests.integration.payment_setup import a_dearer_link, an_invoice, ask, tell

CREATE, LISTED = "POST /v1/links", "GET /v1/links"


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    await rig.add_nomod(outbound=False)
    async with callers(rig) as made:
        yield made


async def void(rig: Rig, invoice: str, *, tell: bool = True) -> str:
    """Void the invoice at the platform; return the id of the webhook's delivery, unless nothing is told."""
    rig.flexprice.void_invoice(invoice)
    event = {"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]}
    told = await rig.send(event) if tell else ""
    await rig.finish()
    return told


async def decide(rig: Rig, who: Callers, decision: str, record: str | None = None) -> Answer:
    """Decide the one open review, and have it carried out."""
    review = await rig.open_review()
    body = {"decision": decision, **({"provider_entity_id": record} if record else {})}
    answer = await who.operator.ask("POST", f"{API}/reviews/{review.review_id}/resolve", body)
    await rig.finish()
    return answer


def states(rig: Rig) -> list[str]:
    """Return in which state each link is at Nomod."""
    return [rig.nomod.link_status(each) for each in rig.nomod.links.values()]


# While a person is asked -------------------------------------------------------------------------------------------


async def test_a_link_in_review_is_switched_off_and_the_review_says_why(rig: Rig, who: Callers) -> None:
    invoice, _ = await a_dearer_link(rig, who)
    told = await void(rig, invoice)
    assert states(rig) == ["disabled"]
    assert (await rig.delivery(told)).status is DeliveryStatus.PROCESSED
    [review] = (await who.operator.get("/reviews?status=open"))["items"]
    assert (review["entity_type"], review["kind"]) == ("payment_link", "amount_differs")
    assert review["voided_at"]
    does = {each["decision"]: each["does"] for each in review["choices"]}
    assert "switched off" in does["adopt"]
    assert "voided" in does["create"]
    refused = await decide(rig, who, "create")
    assert (refused.status, refused.code) == (409, "invoice_voided")
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert (await decide(rig, who, "ignore")).status == 200
    await rig.check()
    assert states(rig) == ["disabled"]


async def test_a_link_that_is_adopted_for_a_voided_invoice_stays_off_and_is_given_to_nobody(
    rig: Rig, who: Callers
) -> None:
    invoice, record = await a_dearer_link(rig, who)
    await void(rig, invoice)
    rig.nomod.links[record]["status"] = "enabled"
    assert (await decide(rig, who, "adopt", record)).status == 200
    assert states(rig) == ["disabled"]
    [mapping] = await rig.mappings(entity_type="payment_link")
    assert (mapping.provider_entity_id, mapping.status) == (record, MappingStatus.STALE)
    assert (await ask(who, invoice)).status == 409


@pytest.mark.parametrize("decision", ["adopt", "create"])
async def test_a_decision_before_the_void_is_heard_of_leaves_no_link_that_can_be_paid(
    rig: Rig, who: Callers, decision: str
) -> None:
    invoice, record = await a_dearer_link(rig, who)
    await void(rig, invoice, tell=False)
    assert (await decide(rig, who, decision, record if decision == "adopt" else None)).status == 200
    assert len(rig.nomod.links) == 1
    await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]})
    await rig.finish()
    assert states(rig) == ["disabled"]


async def test_a_link_that_a_person_has_left_where_it_is_is_left_there(rig: Rig, who: Callers) -> None:
    invoice, _ = await a_dearer_link(rig, who)
    assert (await decide(rig, who, "ignore")).status == 200
    told = await void(rig, invoice)
    assert (await rig.delivery(told)).status is DeliveryStatus.IGNORED
    assert states(rig) == ["enabled"]


async def test_of_several_links_with_our_mark_none_stays_open(rig: Rig, who: Callers) -> None:
    """A person has copied the link; the copy of another invoice's, and one without a mark, are not ours to touch."""
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    mine = rig.nomod.links[record]
    for title in (mine["title"], "Invoice for Ada", "Invoice INV-1 (AAAAAAAAAA)"):
        key = str(uuid4())
        rig.nomod.links[key] = {**mine, "id": key, "title": title}
    await who.operator.ask("DELETE", f"{API}/mappings/{SOURCE}/payment_link/{invoice}/{NOMOD}")
    assert (await ask(who, invoice)).json["status"] == "needs_review"
    assert (await rig.open_review()).kind == "ambiguous"
    await void(rig, invoice)
    assert states(rig) == ["disabled", "disabled", "enabled", "enabled"]


async def test_a_link_in_review_of_an_invoice_that_was_paid_elsewhere_is_switched_off(rig: Rig, who: Callers) -> None:
    invoice, _ = await a_dearer_link(rig, who)
    rig.flexprice.invoices[invoice].update(amount_remaining="0", payment_status="SUCCEEDED")
    await rig.send({"event_type": "invoice.update.payment", "invoice": rig.flexprice.invoices[invoice]})
    await rig.finish()
    assert states(rig) == ["disabled"]
    assert (await rig.open_review()).voided_at is None


async def test_a_provider_that_is_down_is_asked_again_until_the_link_is_off(rig: Rig, who: Callers) -> None:
    invoice, _ = await a_dearer_link(rig, who)
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=LISTED, times=3))
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="PATCH /v1/links/*", times=1))
    await void(rig, invoice)
    assert states(rig) == ["disabled"]


# While the create is in doubt --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("tell", [True, False])
async def test_a_create_in_doubt_is_never_sent_again_and_what_it_has_made_is_switched_off(
    rig: Rig, who: Callers, kind: FaultKind, tell: bool
) -> None:
    """Also where the void's webhook never comes: the platform is asked before anything is sent again."""
    rig.nomod.faults.add(Fault(kind=kind, route=CREATE))
    _, invoice = an_invoice(rig)
    await ask(who, invoice, wait_seconds=0)
    await rig.until(lambda: rig.nomod.calls_of(CREATE))
    await void(rig, invoice, tell=tell)
    assert states(rig) == (["disabled"] if kind is FaultKind.DROP_AFTER else [])
    assert len(rig.nomod.calls_of(CREATE)) == 1
    assert not await rig.mappings(status=MappingStatus.INTENDED)
    await rig.check()


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("dearer", [True, False])
async def test_a_question_about_a_create_in_doubt_is_answered_by_looking_once_more(
    rig: Rig, who: Callers, kind: FaultKind, dearer: bool
) -> None:
    """Whatever sum was made: nobody is asked which of two sums a link may ask for that nobody should pay."""
    rig.nomod.account_tax = Decimal(5 if dearer else 0)
    rig.nomod.faults.add(Fault(kind=kind, route=CREATE))
    _, invoice = an_invoice(rig)
    await ask(who, invoice, wait_seconds=0)
    await rig.until(lambda: rig.nomod.calls_of(CREATE))
    for route in (CREATE, LISTED):
        rig.nomod.faults.add(Fault(kind=FaultKind.DROP_BEFORE, route=route, times=100_000))
    await rig.finish()
    assert (await rig.open_review()).kind == "outcome_unknown"
    rig.nomod.faults.clear()
    await void(rig, invoice)
    assert states(rig) == (["disabled"] if kind is FaultKind.DROP_AFTER else [])
    [review] = (await rig.store.list_reviews()).items
    assert (review.status, review.voided_at is not None) == ("resolved", True)
    jobs: list[Any] = await rig.jobs(kind="ensure_payment_link")
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    await rig.check()


@pytest.mark.parametrize("how", ["voided", "paid elsewhere"])
async def test_what_a_create_in_doubt_has_made_is_switched_off_though_its_job_was_cancelled(
    rig: Rig, who: Callers, how: str
) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    _, invoice = an_invoice(rig)
    await ask(who, invoice, wait_seconds=0)
    await rig.until(lambda: rig.nomod.links)
    await rig.live(1)
    [job] = [each for each in await rig.jobs(kind="ensure_payment_link") if each.status is JobStatus.PENDING]
    assert (await who.operator.ask("POST", f"{API}/jobs/{job.job_id}/cancel")).status == 200
    if how == "voided":
        await void(rig, invoice)
    else:
        rig.flexprice.invoices[invoice].update(amount_remaining="0", payment_status="SUCCEEDED")
        await rig.send({"event_type": "invoice.update.payment", "invoice": rig.flexprice.invoices[invoice]})
        await rig.finish()
    assert states(rig) == ["disabled"]


async def test_a_link_that_was_paid_while_its_create_was_in_doubt_stays_known(rig: Rig, who: Callers) -> None:
    """Money for a voided invoice must find its way to a person."""
    await rig.add_nomod_events()
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    _, invoice = an_invoice(rig)
    await ask(who, invoice, wait_seconds=0)
    await rig.until(lambda: rig.nomod.links)
    [record] = rig.nomod.links
    charge = rig.nomod.pay_link(record)
    await void(rig, invoice)
    [mapping] = await rig.mappings(entity_type="payment_link")
    assert (mapping.provider_entity_id, mapping.status) == (record, MappingStatus.LINKED)
    assert (await tell(rig, charge)).status is DeliveryStatus.NEEDS_REVIEW
    assert (await rig.open_review()).kind == "payment_differs"
