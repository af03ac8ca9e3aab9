"""A decision to create knows nothing of what was created since its question: it is no leave to do so twice."""

from decimal import Decimal

from connectors.testing.simulator import Fault, FaultKind
from storage.records import JobStatus, ReviewStatus
from tests.harness import NOMOD, Rig
from tests.ledgers import invoices_in_nomod

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
LATER = 2 * 3600.0
"""Seconds by which a create in doubt was looked for to the end."""


async def decide_all(rig: Rig, decision: str) -> int:
    """Decide all questions that are open at this moment alike; return how many there were."""
    reviews = (await rig.store.list_reviews(status=ReviewStatus.OPEN)).items
    for review in reviews:
        path = f"/api/v1/reviews/{review.review_id}/resolve"
        status, told = await rig.api("POST", path, {"decision": decision})
        assert status == 200, told
    return len(reviews)


async def asked_twice(rig: Rig) -> None:
    """Have two events about one customer, of whom two records are known, put a question each."""
    await rig.add_flexprice()
    await rig.add_nomod()
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email=ADA["email"])
    ada = rig.flexprice.add_customer(**ADA)
    for _ in range(2):
        await rig.finalize(ada["id"])
    await rig.finish()
    assert len(await rig.jobs(kind="ensure_customer", status=JobStatus.NEEDS_REVIEW)) == 2


async def test_a_customer_whose_create_is_in_doubt_is_not_created_by_the_other_events_decision(rig: Rig) -> None:
    await asked_twice(rig)
    rig.nomod.search_lag = 60.0
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/customers"))
    assert await decide_all(rig, "create") == 2
    await rig.finish()
    assert len(rig.nomod.creations) == 1
    await rig.check(all_linked=True)


async def test_a_customer_whom_the_first_decision_has_made_is_taken_by_the_second(rig: Rig) -> None:
    await asked_twice(rig)
    assert await decide_all(rig, "create") == 2
    await rig.finish()
    assert len(rig.nomod.creations) == 1
    await rig.check(all_linked=True)


async def test_an_invoice_that_was_made_with_another_sum_is_not_made_again_by_the_other_events_decision(
    rig: Rig,
) -> None:
    """Both events wait for a lost create; then the invoice is paid in part, and each of them asks a person."""
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    rig.nomod.account_tax = Decimal(5)
    ada = rig.flexprice.add_customer(**ADA)
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_BEFORE, route="POST /v1/invoices"))
    delivery = await rig.finalize(ada["id"])
    await rig.live(5)
    invoice = str((await rig.store.get_delivery(delivery)).subject)
    await rig.announce(invoice)
    await rig.live(5)
    rig.flexprice.count_payment(invoice, Decimal(1))
    await rig.live(LATER)
    assert rig.nomod.invoices == {}
    assert await decide_all(rig, "create") == 2
    await rig.finish()
    [records] = invoices_in_nomod(rig.nomod).values()
    assert len(records) == 1
    review = await rig.open_review()
    assert [each["provider_entity_id"] for each in review.candidates] == list(records)
    await rig.resolve("adopt", *records)
    await rig.finish()
    assert await rig.linked(invoice) == records[0]


async def test_what_was_made_as_a_payment_link_is_no_invoice_that_was_made(rig: Rig) -> None:
    """The link of an invoice has the invoice's id; that it asks for another sum answers nothing about the invoice."""
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    rig.nomod.account_tax = Decimal(5)
    invoice = rig.flexprice.add_invoice(rig.flexprice.add_customer(**ADA)["id"])
    rig.flexprice.count_payment(invoice["id"], Decimal(1))
    await rig.announce(invoice["id"])
    await rig.finish()
    question = await rig.open_review()
    status, _ = await rig.api("POST", "/api/v1/payment-links", {"invoice_id": invoice["id"], "connection": NOMOD})
    assert status == 202
    await rig.finish()
    assert len(rig.nomod.links) == 1
    path = f"/api/v1/reviews/{question.review_id}/resolve"
    assert (await rig.api("POST", path, {"decision": "create"}))[0] == 200
    await rig.finish()
    assert len(rig.nomod.invoices) == 1


async def test_an_invoice_that_a_person_has_left_is_not_made_again_though_no_list_shows_it(
    rig: Rig,
) -> None:
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    rig.nomod.account_tax, rig.nomod.search_lag = Decimal(5), 3600.0
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.resolve("ignore")
    await rig.announce(next(iter(rig.flexprice.invoices)))
    await rig.finish()
    assert [each["provider_entity_id"] for each in (await rig.open_review()).candidates] == list(rig.nomod.invoices)


async def test_another_is_made_where_the_one_that_was_made_is_what_the_decision_is_about(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    rig.nomod.account_tax = Decimal(5)
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    rig.nomod.account_tax = Decimal(0)
    await rig.resolve("create")
    await rig.finish()
    [records] = invoices_in_nomod(rig.nomod).values()
    assert len(records) == 2
