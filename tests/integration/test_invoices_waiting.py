"""Invoices of a customer that has died at the provider: they follow as soon as the customer is linked again."""

from collections.abc import Callable

import pytest

from connectors.testing.simulator import Call, Moment
from gateway.settings import DEFAULT_SCHEDULE
from storage.records import JobStatus, MappingStatus, ReviewStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
SOON = 2.0
"""Seconds that may pass: the next scheduled try lies further away."""


async def _dead(rig: Rig, connection: str) -> str:
    """Link Ada at a provider, have her record die there, and return what another record of hers is called."""
    await rig.add_flexprice()
    ada = rig.flexprice.add_customer(**ADA)
    if connection == NOMOD:
        await rig.add_nomod(invoices=True)
        await rig.finalize(ada["id"], lines=())  # which brings the customer alone
        await rig.finish()
        rig.nomod.remove(next(iter(rig.nomod.customers)))
        return rig.nomod.seed(first_name="Ada", last_name="Again", email="again@example.com")
    await rig.add_quickbooks(invoices=True)
    await rig.finalize(ada["id"], currency="usd", lines=())
    await rig.finish()
    rig.intuit.deactivate(next(iter(rig.intuit.customers)))
    return str(rig.intuit.seed_customer(DisplayName="Ada again")["Id"])


async def _bill(rig: Rig, *, count: int = 2) -> None:
    for _ in range(count):
        await rig.finalize(next(iter(rig.flexprice.customers)), currency="usd")


def _payers(rig: Rig, connection: str) -> list[str]:
    if connection == NOMOD:
        return [each["customer_id"] for each in rig.nomod.invoices.values()]
    return [each["CustomerRef"]["value"] for each in rig.intuit.invoices.values()]


async def _adopt(rig: Rig, connection: str, record: str) -> None:
    """Decide the question about the customer; each of her invoices may have brought one of its own."""
    review = (await rig.store.list_reviews(status=ReviewStatus.OPEN, connection=connection)).items[0]
    path = f"/api/v1/reviews/{review.review_id}/resolve"
    status, told = await rig.api("POST", path, {"decision": "adopt", "provider_entity_id": record})
    assert status == 200, told


async def _link(rig: Rig, connection: str, record: str) -> None:
    customer = next(iter(rig.flexprice.customers))
    path = f"/api/v1/mappings/{SOURCE}/customer/{customer}/{connection}"
    status, told = await rig.api("PUT", path, {"provider_entity_id": record})
    assert status == 200, told


@pytest.mark.parametrize("connection", [NOMOD, QUICKBOOKS])
@pytest.mark.parametrize("how", [_adopt, _link])
@pytest.mark.parametrize("late", [False, True])
async def test_invoices_follow_at_once_when_their_customer_is_linked_again(
    rig: Rig, connection: str, how: Callable[..., object], late: bool
) -> None:
    """Also where nobody has decided for so long that they have become dead letters."""
    record = await _dead(rig, connection)
    await _bill(rig)
    await (rig.finish() if late else rig.live(120))
    waiting = await rig.jobs(kind="ensure_invoice", status=JobStatus.FAILED if late else JobStatus.PENDING)
    assert waiting, "the other's customer may be asked about before its invoice is begun"
    await how(rig, connection, record)  # type: ignore[misc]
    await rig.live(SOON)
    assert _payers(rig, connection) == [record, record]
    await rig.finish()
    await rig.check()


async def test_invoices_follow_at_once_when_the_check_has_made_their_customer_active_again(rig: Rig) -> None:
    await _dead(rig, QUICKBOOKS)
    await rig.add_quickbooks(invoices=True, inactive="reactivate")
    [record] = [each.provider_entity_id for each in await rig.mappings(entity_type="customer")]
    await _bill(rig)
    await rig.live(SOON)
    assert record in _payers(rig, QUICKBOOKS), "one that was refused just as the check was at it comes by its schedule"
    assert await rig.jobs(kind="check_mapping")
    await rig.finish()
    assert _payers(rig, QUICKBOOKS) == [record, record]
    await rig.check(all_linked=True)


async def test_an_invoice_that_was_refused_for_a_customer_who_is_back_by_now_follows_at_once(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks(invoices=True)
    ada = rig.flexprice.add_customer(**ADA)
    away: list[str] = []

    async def away_for_a_moment(call: Call, moment: Moment) -> None:
        if call.route == f"POST /v3/company/{rig.intuit.realm_id}/invoice" and (not away or moment is Moment.AFTER):
            [record] = rig.intuit.customers
            rig.intuit.company.change("Customer", record, Active=moment is Moment.AFTER)
            away.append(record)

    rig.intuit.hook = away_for_a_moment
    await rig.finalize(ada["id"], currency="usd")
    await rig.live(SOON)
    assert len(rig.intuit.invoices) == 1
    [job] = await rig.jobs(kind="ensure_invoice")
    told = [each.error["code"] for each in await rig.store.list_attempts(job.job_id) if each.error]
    assert told == ["customer_returned"]
    await rig.finish()
    await rig.check(all_linked=True)


async def test_a_provider_that_goes_on_refusing_a_customer_it_shows_is_asked_by_the_schedule(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks(invoices=True)
    route = "POST /v3/company/*/invoice"
    rig.intuit.faults.add(rig.intuit.faults.service(6250, "Invalid Customer", status=400, route=route, times=1000))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], currency="usd")
    await rig.finish()
    [job] = await rig.jobs(kind="ensure_invoice")
    assert (job.status, job.error["code"]) == (JobStatus.FAILED, "customer_returned")
    assert job.attempts == len(DEFAULT_SCHEDULE) + 1
    assert not await rig.jobs(kind="check_mapping")


async def test_an_invoice_waits_for_nobody_else(rig: Rig) -> None:
    await _dead(rig, NOMOD)
    await _bill(rig, count=1)
    await rig.live(120)
    [job] = await rig.jobs(kind="ensure_invoice", status=JobStatus.PENDING)
    await rig.finalize(rig.flexprice.add_customer(name="Grace Hopper", email="grace@example.com")["id"])
    await rig.live(SOON)
    assert len(await rig.mappings(entity_type="customer", status=MappingStatus.LINKED)) == 1
    assert (await rig.store.get_job(job.job_id)).attempts == job.attempts
