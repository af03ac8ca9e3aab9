"""Every kind of fault at every request between webhook and Nomod, before and after the work was done."""

from dataclasses import dataclass

import pytest

from connectors.testing.simulator import DOES_THE_WORK, Fault, FaultKind, Simulator
from storage.records import DeliveryStatus, Job
from tests.harness import Rig

HINT = "0b7c7f0e-0000-4000-8000-000000000001"
REFUSALS = {FaultKind.REFUSE, FaultKind.ECHO}
LOST = [kind for kind in FaultKind if kind not in {*REFUSALS, FaultKind.THROTTLE, FaultKind.DRIP}]
"""The faults after which a caller cannot know if its create has happened."""
LOOKUP, CREATE = "GET /v1/customers", "POST /v1/customers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of the flow: at which service, which route, and how many requests of that route come before."""

    service: str
    route: str
    skip: int = 0
    hinted: bool = False

    def at(self, rig: Rig) -> Simulator:
        """Return the service."""
        return rig.nomod if self.service == "nomod" else rig.flexprice


STEPS = {
    "invoice read": Step(service="flexprice", route="GET /v1/invoices/*"),
    "customer read": Step(service="flexprice", route="GET /v1/customers/*"),
    "hint looked up": Step(service="nomod", route="GET /v1/customers/*", hinted=True),
    "trial of look-ups": Step(service="nomod", route=LOOKUP),
    "customer looked up": Step(service="nomod", route=LOOKUP, skip=3),
    "customer created": Step(service="nomod", route=CREATE),
    "metadata read": Step(service="flexprice", route="GET /v1/customers/*", skip=1),
    "metadata written": Step(service="flexprice", route="PUT /v1/customers"),
    "metadata read again": Step(service="flexprice", route="GET /v1/customers/*", skip=2),
}


async def start(rig: Rig, *, hinted: bool = False) -> str:
    """Configure the rig, with a customer that has no record at Nomod yet; return its id."""
    await rig.add_flexprice()
    await rig.add_nomod()
    metadata = {"nomod_customer_id": HINT, "plan": "gold"} if hinted else {"plan": "gold"}
    rig.nomod.seed(first_name="Somebody", email="somebody@example.com")
    return str(rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com", metadata=metadata)["id"])


async def assert_once(rig: Rig, customer: str, delivery: str) -> None:
    """All went well in the end, and exactly once."""
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert len(rig.nomod.creations) == 1
    assert rig.flexprice.customers[customer]["metadata"]["plan"] == "gold"


async def dead_letter(rig: Rig) -> Job:
    """Return the one job that has failed."""
    return await rig.job(status="failed")


@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("name", STEPS)
async def test_after_one_fault_anywhere_the_customer_is_there_once(rig: Rig, name: str, kind: FaultKind) -> None:
    """Only a definite refusal needs a person, who retries the job; everything else passes by itself."""
    step = STEPS[name]
    customer = await start(rig, hinted=step.hinted)
    service = step.at(rig)
    service.faults.add(Fault(kind=kind, route=step.route, skip=step.skip, seconds=0.05))
    delivery = await rig.finalize(customer)
    await rig.finish()
    await rig.check()
    assert not service.faults.faults, "the fault did not happen"
    if (await rig.delivery(delivery)).status is DeliveryStatus.FAILED:
        assert kind in REFUSALS
        job = await dead_letter(rig)
        assert job.error["code"] == ("rejected" if step.service == "nomod" else "source_rejected")
        await rig.retry(job.job_id)
        await rig.finish()
    await assert_once(rig, customer, delivery)


@pytest.mark.parametrize("kind", [kind for kind in LOST if kind not in DOES_THE_WORK])
async def test_two_lost_creates_which_left_nothing_are_put_before_a_person(rig: Rig, kind: FaultKind) -> None:
    """A third create is not sent by hoping; the person who has looked allows it."""
    customer = await start(rig)
    rig.nomod.faults.add(Fault(kind=kind, route=CREATE, times=2, seconds=0.05))
    delivery = await rig.finalize(customer)
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "outcome_unknown"
    assert len(rig.nomod.calls_of(CREATE)) == 2
    await rig.resolve("create")
    await rig.finish()
    await assert_once(rig, customer, delivery)


@pytest.mark.parametrize("kind", LOST)
async def test_a_create_that_a_person_has_allowed_and_whose_answer_is_lost_is_looked_for(
    rig: Rig, kind: FaultKind
) -> None:
    """The decision was for one create; what becomes of that one is found out as always."""
    customer = await start(rig)
    rig.nomod.faults.add(
        Fault(kind=FaultKind.DROP_BEFORE, route=CREATE, times=2), Fault(kind=kind, route=CREATE, seconds=0.05)
    )
    delivery = await rig.finalize(customer)
    await rig.finish()
    await rig.resolve("create")
    await rig.finish()
    await rig.check()
    if kind in DOES_THE_WORK:
        await assert_once(rig, customer, delivery)
    else:
        assert (await rig.open_review()).kind == "outcome_unknown"
        await rig.resolve("create")
        await rig.finish()
        await assert_once(rig, customer, delivery)


async def test_lookups_that_fail_for_a_day_never_count_as_not_found(rig: Rig) -> None:
    """The customer is there all the time; a hundred failed look-ups do not make a second one."""
    customer = await start(rig)
    there = rig.nomod.seed(first_name="Ada Lovelace", email="ada@example.com")
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=LOOKUP, times=20))
    delivery = await rig.finalize(customer)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert await rig.linked(customer) == there
    assert rig.nomod.creations == []


async def test_after_three_days_of_failures_a_job_becomes_a_dead_letter_that_can_be_retried(rig: Rig) -> None:
    """The schedule reaches at least 72 hours; the retry has a whole schedule again."""
    customer = await start(rig)
    begun = rig.clock.now()
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_BEFORE, route="GET *", times=1000))
    delivery = await rig.finalize(customer)
    await rig.finish()
    assert (rig.clock.now() - begun).total_seconds() >= 72 * 3600
    assert (await rig.delivery(delivery)).status is DeliveryStatus.FAILED
    job = await dead_letter(rig)
    assert job.error["code"] == "provider_api_error"
    assert job.error["cause"]
    assert job.error["resolution"]
    rig.nomod.faults.clear()
    await rig.retry(job.job_id)
    await rig.finish()
    await assert_once(rig, customer, delivery)


async def test_a_create_stays_in_doubt_as_long_as_looking_fails_and_is_then_put_before_a_person(rig: Rig) -> None:
    """The record is there; nothing is created beside it, however long Nomod is down."""
    customer = await start(rig)
    rig.nomod.faults.add(
        Fault(kind=FaultKind.DROP_AFTER, route=CREATE),
        Fault(kind=FaultKind.FAIL_BEFORE, route=LOOKUP, skip=4, times=1000),
    )
    delivery = await rig.finalize(customer)
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    assert (await rig.open_review()).kind == "outcome_unknown"
    rig.nomod.faults.clear()
    await rig.retry((await rig.job()).job_id)
    await rig.finish()
    await assert_once(rig, customer, delivery)
