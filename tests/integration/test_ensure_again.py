"""A customer that comes again: what is linked costs no request, what is owed is made up for, a decision counts once."""

import pytest

from connectors.testing.simulator import Fault, FaultKind
from storage.records import JobStatus
from tests.harness import Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
PUT = "PUT /v1/customers*"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()


async def test_another_invoice_of_a_linked_customer_asks_nomod_nothing_and_tells_nobody_again(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    asked, told = len(rig.nomod.calls), len(rig.flexprice.calls_of(PUT))
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert (len(rig.nomod.calls), len(rig.flexprice.calls_of(PUT))) == (asked, told)
    assert len(await rig.jobs(kind="write_back")) == 1
    [attempt] = await rig.store.list_attempts((await rig.jobs(kind="ensure_customer"))[-1].job_id)
    assert attempt.decision == {"decision": "linked", "record": await rig.linked(ada["id"])}


async def test_a_link_that_the_platform_was_never_told_of_is_told_with_the_next_invoice(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    rig.flexprice.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=PUT, times=1000))
    await rig.finalize(ada["id"])
    await rig.finish()
    assert (await rig.job(kind="write_back")).status is JobStatus.FAILED
    assert not rig.flexprice.customers[ada["id"]]["metadata"]
    rig.flexprice.faults.clear()
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()
    record = await rig.linked(ada["id"])
    assert rig.flexprice.customers[ada["id"]]["metadata"]["nomod_customer_id"] == record


async def test_a_question_that_is_asked_again_is_no_decision_though_there_was_one_before(rig: Rig) -> None:
    """The record that a person has chosen is gone by then. To look again is not to make another."""
    first, second = (rig.nomod.seed(first_name=name, email=ADA["email"]) for name in ("Bea One", "Ada Lovelace"))
    rig.nomod.seed(first_name="Ada Lovelace", email=ADA["email"])
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    del rig.nomod.customers[second]
    await rig.resolve("adopt", second)
    await rig.finish()
    again = await rig.open_review()
    await rig.retry(str(again.job_id))
    await rig.finish()
    assert rig.nomod.creations == []
    assert first in rig.nomod.customers
