"""Lost answers, forgotten request ids, lagging queries and lost consents between a webhook and QuickBooks."""

import asyncio
from typing import Any

import pytest

from connectors.testing.simulator import Fault, FaultKind
from storage.records import DeliveryStatus
from tests.harness import QUICKBOOKS, Rig

JOHN: dict[str, Any] = {"donor_id": "user_7", "first_name": "John", "last_name": "Doe", "email": "john@example.org"}
CREATE = "POST /v3/company/*/customer"
QUERY = "GET /v3/company/*/query"
TOKEN = "POST /oauth2/v1/tokens/bearer"
REFUSALS = {FaultKind.REFUSE, FaultKind.ECHO}


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_tithely()
    await rig.add_quickbooks()


def names(rig: Rig) -> list[str]:
    return sorted(str(record["DisplayName"]) for record in rig.intuit.customers.values())


async def assert_once(rig: Rig, delivery: str) -> None:
    """All went well in the end, and exactly once, under the plain name."""
    await rig.check(all_linked=True)
    found = await rig.delivery(delivery)
    assert found.status is DeliveryStatus.PROCESSED
    assert names(rig) == ["John Doe"]
    assert await rig.linked(str(found.entity_id), QUICKBOOKS) == next(iter(rig.intuit.customers))


@pytest.mark.parametrize("route,skip", [(QUERY, 0), (QUERY, 2), (CREATE, 0), (TOKEN, 0)])
@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.THROTTLE])
async def test_after_one_fault_anywhere_the_customer_is_there_once(
    rig: Rig, kind: FaultKind, route: str, skip: int
) -> None:
    """A definite refusal of the create needs a person, who retries; a dead consent one who connects again."""
    rig.intuit.faults.add(Fault(kind=kind, route=route, skip=skip, seconds=0.05))
    delivery = await rig.give(**JOHN)
    await rig.finish()
    await rig.check(waiting=True)
    assert not rig.intuit.faults.faults, "the fault did not happen"
    if (await rig.store.list_connections())[0].status == "paused":
        assert route == TOKEN
        await rig.add_quickbooks()
        await rig.resume(QUICKBOOKS)
    for job in await rig.jobs(status="failed"):
        assert kind in REFUSALS
        await rig.retry(job.job_id)
    await rig.finish()
    await assert_once(rig, delivery)


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.FAIL_AFTER, FaultKind.HALF])
@pytest.mark.parametrize("mode", ["replay", "off", "forget"])
@pytest.mark.parametrize("late", [False, True])
async def test_a_lost_answer_is_settled_by_repeating_it_early_and_by_looking_late(
    rig: Rig, kind: FaultKind, mode: str, late: bool
) -> None:
    """Whatever Intuit remembers of a request id: the name is unique, and the marker says whose record it is."""
    rig.intuit.quirks.requestid_mode = mode
    rig.intuit.quirks.requestid_memory = 1.0
    rig.intuit.faults.add(Fault(kind=kind, route=CREATE, seconds=0.05))
    delivery = await rig.give(**JOHN)
    await rig.until(lambda: rig.intuit.calls_of(CREATE))
    if late:
        await rig.pause(QUICKBOOKS)
        await rig.finish()
        rig.clock.advance(5 * 3600)
        await rig.resume(QUICKBOOKS)
    await rig.finish()
    await assert_once(rig, delivery)


@pytest.mark.parametrize("refusal", ["throttle", "unavailable", "consent", "rejected"])
@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.GARBAGE])
async def test_a_refused_repetition_says_nothing_about_the_first_sending(
    rig: Rig, kind: FaultKind, refusal: str
) -> None:
    """The record is there, queries do not show it yet, and the repetition does not get through."""
    rig.intuit.quirks.query_lag = 400.0
    rig.intuit.quirks.requestid_mode = "off"
    faults = rig.intuit.faults
    refused = {
        "throttle": faults.xml_throttle(route=CREATE, retry_after=1),
        "unavailable": faults.maintenance(route=CREATE),
        "consent": faults.admin_removed(route=CREATE),
        "rejected": faults.service(2020, "Required parameter missing", route=CREATE),
    }[refusal]
    faults.add(Fault(kind=kind, route=CREATE, seconds=0.05), refused)
    delivery = await rig.give(**JOHN)
    await rig.finish()
    if refusal == "consent":
        assert (await rig.store.list_connections())[0].status == "paused"
        await rig.resume(QUICKBOOKS)
    elif refusal == "rejected":
        assert (await rig.open_review()).kind == "outcome_unknown"
        await rig.retry((await rig.job()).job_id)
    await rig.finish()
    await assert_once(rig, delivery)


@pytest.mark.parametrize("lag", [4.0, 30.0, 300.0])
@pytest.mark.parametrize("mode", ["replay", "off", "forget"])
async def test_queries_that_lag_do_not_make_a_second_name_of_a_lost_answer(rig: Rig, mode: str, lag: float) -> None:
    """The name is refused to the repetition, and queries show nobody who holds it: it is our own record."""
    rig.intuit.quirks.query_lag = lag
    rig.intuit.quirks.requestid_mode = mode
    rig.intuit.quirks.requestid_memory = 0.0
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    delivery = await rig.give(**JOHN)
    await rig.finish()
    await assert_once(rig, delivery)


@pytest.mark.parametrize("mode", ["replay", "off"])
async def test_answers_that_are_lost_at_every_name_leave_one_record(rig: Rig, mode: str) -> None:
    """The first two names are held by others; each refusal, and the create in the end, is lost once."""
    rig.intuit.quirks.requestid_mode = mode
    rig.intuit.seed_vendor(DisplayName="John Doe")
    rig.intuit.seed_vendor(DisplayName="John Doe (customer)")
    for skip in (0, 1, 2):
        rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE, skip=skip))
    await rig.give(**JOHN)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(names(rig)) == 1
    assert names(rig)[0].startswith("John Doe (customer ")


async def test_a_record_renamed_by_a_bookkeeper_before_its_answer_is_recovered_is_still_ours(rig: Rig) -> None:
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    rig.intuit.quirks.requestid_mode = "off"
    delivery = await rig.give(**JOHN)
    await rig.until(lambda: rig.intuit.customers)
    rig.intuit.rename(next(iter(rig.intuit.customers)), "Doe, John")
    await rig.pause(QUICKBOOKS)
    await rig.finish()
    rig.clock.advance(3600)
    await rig.resume(QUICKBOOKS)
    await rig.finish()
    await rig.check(all_linked=True)
    assert names(rig) == ["Doe, John"]
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED


async def test_a_clock_that_jumps_back_while_an_answer_is_in_doubt_doubles_nobody(rig: Rig) -> None:
    rig.intuit.quirks.requestid_mode = "off"
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE, times=2))
    delivery = await rig.give(**JOHN)
    await rig.until(lambda: rig.intuit.customers)
    rig.clock.advance(-2 * 3600)
    await rig.finish()
    await assert_once(rig, delivery)


async def test_a_consent_that_has_ended_pauses_and_connecting_again_runs_the_jobs(rig: Rig) -> None:
    await rig.give(**JOHN)
    await rig.finish()
    rig.intuit.oauth.disconnect()
    deliveries = [await rig.give(donor_id=f"user_{n}", first_name=f"Guest {n}") for n in range(3)]
    await rig.finish()
    row = (await rig.store.list_connections())[0]
    assert (row.status, row.pause_reason) == ("paused", "needs_reauth")
    await rig.check(waiting=True)
    assert {job.failures for job in await rig.jobs(status="pending")} == {0}
    await rig.add_quickbooks()
    await rig.finish()
    await rig.check(all_linked=True)
    assert {(await rig.delivery(delivery)).status for delivery in deliveries} == {DeliveryStatus.PROCESSED}


async def test_two_gateways_refresh_one_token_and_make_each_customer_once(rig: Rig) -> None:
    """Both find the access token expired at the same moment; a second refresh would end the consent for both."""
    await rig.start_node()
    await rig.give(**JOHN)
    await rig.finish()
    for turn in range(3):
        rig.clock.advance(2 * 3600)
        gifts = [rig.give(donor_id=f"user_{turn}_{n}", first_name=f"Guest {turn}.{n}", node=n % 2) for n in range(6)]
        await asyncio.gather(*gifts)
        await rig.finish()
    await rig.check(all_linked=True)
    assert [chain.reused for chain in rig.intuit.oauth.chains] == [0]
    assert len(names(rig)) == 19


async def test_a_throttled_company_is_left_alone_for_a_while_and_burns_nothing(rig: Rig) -> None:
    rig.intuit.faults.add(rig.intuit.faults.xml_throttle(retry_after=1, times=2))
    delivery = await rig.give(**JOHN)
    await rig.finish()
    await assert_once(rig, delivery)
    assert {job.failures for job in await rig.jobs()} == {0}
