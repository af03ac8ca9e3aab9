"""The gateway killed (SIGKILL) around every durable step and every request, started again, and the promise checked."""

from pathlib import Path

import pytest

from tests.crash.conftest import MOST
from tests.crash.killing import AFTER, BEFORE, Point, Step, points, writing_methods
from tests.crash.matrix import Request, clean_run, each, killed_at_request, killed_at_step, requests
from tests.crash.nursery import Nursery
from tests.postgres_setup import NewDatabase

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ELSEWHERE = {
    # One transaction each, asked for by a person or a command, who sees that it failed and repeats it.
    "add_key": "an operator's request",
    "cancel_job": "an operator's request",
    "delete_channel": "an operator's request",
    "delete_mapping": "an operator's request",
    "delete_source": "an operator's request",
    "delete_tokens": "an operator's request",
    "put_channel": "an operator's request",
    "put_connection": "an operator's request",
    "put_mapping": "an operator's request",
    "put_source": "an operator's request",
    "replay_delivery": "an operator's request",
    "revoke_key": "an operator's request",
    "set_connection_account": "an operator's request",
    "set_connection_status": "an operator's request",
    "rewrite_secrets": "an operator's request; all or nothing is tested with the storage",
    "retry_job": "an operator's request, and after a link; what is not retried stays under review",
    # Nothing of the promise depends on them.
    "change_circuit": "failures in a row, which are counted anew",
    "add_job": "queued by the daily scan and the poller, which look again",
    "keep_fact": "the gifts of a day, killed around in tests/integration/test_gift_days.py",
    "note_activity": "counts of what was heard and refused",
    "prune_deliveries": "drops bodies of what has ended long ago",
    "put_meta": "facts of the installation, written at its first start",
    "release_jobs": "a stop that is killed leaves jobs to the end of their lease, as every other kill does",
    "roll_up_delivery": "works out a status again",
    "settle_alert_message": "an alert that was sent and not settled is sent again (tests/integration/test_alerts.py)",
    "touch_keys": "when API keys were last used",
}
"""Writing methods that the traffic need not reach, each with the reason. A new method has to be put somewhere."""
SOMETIMES = {
    "extend_leases": "a job has to take a third of its lease",
    "take_lease alerts": "the watch looks every five seconds",
    "write_alerts": "the watch looks every five seconds (tests/integration/test_alerts.py)",
}
"""Calls that a run may reach or not, by how long it takes, each with the reason."""
SHARED = ("add_delivery", "claim_jobs", "settle_dispatch", "begin_intent", "refuse_intent", "settle", "save_tokens")
"""Methods around which one of two processes is killed while the other lives on."""


async def test_every_writing_method_of_the_store_is_reached_or_has_a_reason_not_to_be(
    tmp_path: Path, nursery: Nursery
) -> None:
    steps, _ = await clean_run(tmp_path, nursery)
    reached = {step.method for step in steps}
    assert writing_methods() - reached - set(ELSEWHERE) - set(SOMETIMES) == set()
    assert set(ELSEWHERE) <= writing_methods(), "a reason for a method that is gone"


async def test_killed_around_every_durable_step_nothing_is_lost_and_nobody_doubled(
    tmp_path: Path, nursery: Nursery
) -> None:
    steps, _ = await clean_run(tmp_path, nursery)
    chosen = points(steps, most=MOST)

    async def kill(number: int, point: Point) -> bool:
        return await killed_at_step(tmp_path / str(number), nursery, point)

    missed = await each(chosen, kill)
    certain = [
        str(point)
        for point in missed
        if point.step.number == 1 and point.step.method not in ELSEWHERE and point.step.call not in SOMETIMES
    ]
    assert not certain, f"not reached: {certain}"
    print(f"killed at {len(chosen) - len(missed)} of {len(chosen)} points")


async def test_killed_at_every_request_before_and_after_it_is_done_nothing_is_lost_and_nobody_doubled(
    tmp_path: Path, nursery: Nursery
) -> None:
    _, calls = await clean_run(tmp_path, nursery)
    chosen = requests(calls, most=MOST)

    async def kill(number: int, request: Request) -> bool:
        return await killed_at_request(tmp_path / str(number), nursery, request)

    missed = await each(chosen, kill)
    certain = [str(request) for request in missed if request.number == 1]
    assert not certain, f"not reached: {certain}"
    print(f"killed at {len(chosen) - len(missed)} of {len(chosen)} requests")


@pytest.mark.postgres
async def test_one_of_two_processes_on_postgres_killed_around_a_durable_step_the_other_finishes_its_work(
    tmp_path: Path, nursery: Nursery, new_database: NewDatabase
) -> None:
    methods = SHARED if MOST is None else ("claim_jobs", "begin_intent", "settle")
    chosen = [Point(Step(method, 1), moment) for method in methods for moment in (BEFORE, AFTER)]
    databases = [await new_database() for _ in chosen]

    async def kill(number: int, point: Point) -> bool:
        return await killed_at_step(tmp_path / str(number), nursery, point, nodes=2, database=databases[number])

    missed = await each(chosen, kill)
    assert len(missed) <= len(chosen) // 2, f"the other process was always quicker: {[str(point) for point in missed]}"


async def test_one_of_two_processes_killed_around_a_durable_step_the_other_finishes_its_work(
    tmp_path: Path, nursery: Nursery
) -> None:
    chosen = [Point(Step(method, 1), moment) for method in SHARED for moment in (BEFORE, AFTER)]

    async def kill(number: int, point: Point) -> bool:
        return await killed_at_step(tmp_path / str(number), nursery, point, nodes=2)

    missed = await each(chosen, kill)
    assert len(missed) <= len(chosen) // 2, f"the other process was always quicker: {[str(point) for point in missed]}"
