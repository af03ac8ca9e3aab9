"""The lines of one webhook, from the door to the provider's record, can be joined by their ids."""

import json

import pytest

from connectors.testing import Fault, FaultKind
from tests.harness import Rig


async def test_delivery_job_and_attempt_join(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tries of one job, and the write-back: each line names delivery, job and attempt, as the database does."""
    await rig.add_flexprice()
    await rig.add_nomod()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers", times=4))
    delivery_id = await rig.finalize(ada["id"])
    await rig.finish()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    ours = [line for line in lines if line["event"] == "attempt"]
    assert {line["delivery_id"] for line in ours} == {delivery_id}
    for line in ours:
        job = await rig.store.get_job(line["job_id"])
        attempts = await rig.store.list_attempts(line["job_id"])
        assert (job.kind, job.delivery_id) == (line["kind"], delivery_id)
        assert line["attempt"] in {attempt.number for attempt in attempts}
    assert {line["attempt"] for line in ours if line["kind"] == "ensure_customer"} >= {1, 2}
