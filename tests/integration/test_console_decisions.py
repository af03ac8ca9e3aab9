"""Reviews in the console: what a person sees of the candidates, decides once, and what comes of it."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from storage.records import ReviewStatus
from tests.harness import Rig
from tests.integration.console_setup import ADA, Browsers, audited, configured


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


async def asked(rig: Rig) -> tuple[str, str]:
    """Have a customer under review, with two candidates; return its id and that of the review."""
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    bea = rig.flexprice.add_customer(name="Bea", email="bea@example.com")
    await rig.finalize(bea["id"])
    await rig.finish()
    return bea["id"], (await rig.open_review()).review_id


async def test_a_review_shows_the_candidates_side_by_side_and_marks_what_differs(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    needs = await who.viewer.get("/needs")
    assert "Which record is it?" in needs.text
    page = await who.viewer.get(f"/reviews/{review}")
    for told in ("Bea One", "Bea Two", "bea@example.com", customer, "≠ differs", "= same", "same e-mail"):
        assert told in page.text, told
    assert page.html.count('class="differs"') == 2
    assert "Adopt this one" not in page.text
    assert "Your key may look, and not decide" in page.text


async def test_an_invoice_s_review_shows_both_sums_and_what_was_decided_leads_to_its_page(
    rig: Rig, who: Browsers
) -> None:
    await rig.add_nomod(invoices=True)
    rig.nomod.account_tax = Decimal(5)
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    review = (await rig.open_review()).review_id
    assert "The sums differ" in (await who.viewer.get("/needs")).text
    page = await who.operator.get(f"/reviews/{review}")
    for told in ("1500.00 AED", "1575.00 AED", "At the platform", "open", ada["id"]):
        assert told in page.text, told
    await who.operator.submit(page, f"/reviews/{review}", holding="provider_entity_id")
    await rig.finish()
    [made] = rig.nomod.invoices.values()
    [job] = await rig.jobs(kind="ensure_invoice")
    shown = await who.viewer.get(f"/jobs/{job.job_id}")
    assert made["id"] in shown.text
    assert made["url"] in shown.html
    way = await who.viewer.get(f"/deliveries/{delivery}")
    assert f"/jobs/{job.job_id}" in way.html
    assert "Invoice" in way.text


async def test_adopting_a_candidate_links_it(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    page = await who.operator.get(f"/reviews/{review}")
    record = page.form(f"/reviews/{review}", holding="provider_entity_id").fields["provider_entity_id"]
    after = await who.operator.submit(page, f"/reviews/{review}", holding="provider_entity_id")
    assert f"{customer} is being linked to {record}" in after.text
    await rig.finish()
    assert await rig.linked(customer) == record
    assert len(rig.nomod.customers) == 2
    assert ("key:operator", "review.resolved") in await audited(rig)
    assert "Resolved" in (await who.operator.get(f"/reviews/{review}")).text
    assert (await who.operator.get("/needs")).heading == "Needs you"
    await rig.check()


async def test_creating_a_new_record_creates_one(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    await who.operator.post(f"/reviews/{review}", {"decision": "create"})
    await rig.finish()
    assert await rig.linked(customer) is not None
    assert len(rig.nomod.customers) == 3


async def test_ignoring_creates_and_links_nothing(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    await who.operator.post(f"/reviews/{review}", {"decision": "ignore"})
    await rig.finish()
    assert await rig.linked(customer) is None
    assert len(rig.nomod.customers) == 2
    assert (await rig.store.get_review(review)).status is ReviewStatus.RESOLVED


async def test_an_id_that_is_entered_is_looked_up_first(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    page = await who.operator.get(f"/reviews/{review}")
    refused = await who.operator.submit(
        page,
        f"/reviews/{review}",
        holding="provider_entity_id",
        provider_entity_id="00000000-0000-4000-8000-000000000000",
    )
    assert refused.status == 422
    assert "Record unknown to the provider" in refused.text
    assert "Nothing was decided" in refused.text
    assert (await rig.store.get_review(review)).status is ReviewStatus.OPEN
    other = rig.nomod.seed(first_name="Beatrice", email="beatrice@example.com")
    await who.operator.post(f"/reviews/{review}", {"decision": "adopt", "provider_entity_id": f"  {other} "})
    await rig.finish()
    assert await rig.linked(customer) == other


@pytest.mark.parametrize(
    "form",
    [
        {}, {"decision": ""}, {"decision": "delete"}, {"decision": "adopt"},
        {"decision": "adopt", "provider_entity_id": "   "},
    ],
)  # fmt: skip
async def test_a_decision_that_is_none_decides_nothing(rig: Rig, who: Browsers, form: dict[str, str]) -> None:
    _, review = await asked(rig)
    answer = await who.operator.post(f"/reviews/{review}", form)
    assert answer.status == 400
    assert "Nothing was decided" in answer.text
    assert (await rig.store.get_review(review)).status is ReviewStatus.OPEN


async def test_a_review_is_decided_once(rig: Rig, who: Browsers) -> None:
    _, review = await asked(rig)
    await who.operator.post(f"/reviews/{review}", {"decision": "ignore"})
    again = await who.administrator.post(f"/reviews/{review}", {"decision": "create"})
    assert again.status == 409
    assert "it was resolved before" in again.text
