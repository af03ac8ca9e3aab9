"""Budgets and circuits: what all processes share about a provider."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage.base import Store
from storage.records import WELL, CircuitRow
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import LEASE, T0, at, claim, make_connection, make_job

PROBED = CircuitRow(failures=5, rest=timedelta(seconds=2), open_until=at(10), opened_at=at(1))


def add_one(state: Any, now: datetime) -> tuple[Any, datetime]:
    """Count one more."""
    return {"count": (state or {"count": 0})["count"] + 1}, now


class BudgetContract(StoreFixtures):
    """What is taken of a provider's limits, and what stops work."""

    async def test_no_change_of_a_budget_is_lost(self, store: Store, twin: Store) -> None:
        changes = [which.change_budget("nomod", add_one, now=T0) for _ in range(20) for which in (store, twin)]
        await asyncio.gather(*changes)
        (state, _), told, circuit = await store.change_budget("nomod", lambda was, now: (was, (was, now)), now=at(1))
        assert state == {"count": 40}
        assert told == at(1)
        assert circuit == WELL
        first, _, _ = await store.change_budget("other", lambda was, _: (was, was), now=T0)
        assert first is None

    async def test_a_budget_is_told_the_time_that_all_processes_share(self, store: Store, twin: Store) -> None:
        one, told, _ = await store.change_budget("nomod", add_one)
        assert one == told
        two, _, _ = await twin.change_budget("nomod", add_one)
        assert one <= two
        assert abs(datetime.now(UTC) - two) < timedelta(minutes=1)

    async def test_a_change_that_fails_changes_nothing(self, store: Store) -> None:
        def fail(_state: Any, _now: datetime) -> tuple[Any, None]:
            raise ZeroDivisionError

        await store.change_budget("nomod", add_one, now=T0)
        with pytest.raises(ZeroDivisionError):
            await store.change_budget("nomod", fail, now=T0)
        state, _, _ = await store.change_budget("nomod", lambda was, _: (was, was), now=T0)
        assert state == {"count": 1}

    async def test_failures_are_counted_over_all_processes(self, store: Store, twin: Store) -> None:
        def fail(circuit: CircuitRow) -> CircuitRow:
            return replace(circuit, failures=circuit.failures + 1)

        await asyncio.gather(*[which.change_circuit("nomod", fail) for _ in range(10) for which in (store, twin)])
        assert await twin.list_circuits() == {"nomod": CircuitRow(failures=20)}
        held = await store.change_circuit("nomod", lambda was: replace(was, held_until=at(5)))
        assert held == CircuitRow(failures=20, held_until=at(5))
        assert (await twin.change_budget("nomod", add_one, now=T0))[2] == held
        assert await twin.change_circuit("nomod", lambda _: PROBED) == PROBED
        assert await store.list_circuits() == {"nomod": PROBED}
        assert await store.change_circuit("nomod", lambda _: WELL) == WELL
        assert await twin.list_circuits() == {}

    async def test_jobs_of_a_connection_that_is_held_back_wait(self, store: Store, twin: Store) -> None:
        await store.add_job(make_job("one"), now=T0)
        await store.add_job(make_job("two", connection="qbo"), now=T0)
        await twin.change_circuit("nomod", lambda _: CircuitRow(held_until=at(60)))
        assert [each.job.gate for each in await claim(store, nomod=5, qbo=5)] == ["qbo"]
        assert await claim(store, nomod=5, seconds=29) == []
        assert await store.next_due(["nomod"], after=at(1)) == at(30)  # the lease of the other
        await store.change_circuit("nomod", lambda _: CircuitRow(held_until=at(20)))
        assert await store.next_due(["nomod"], after=at(1)) == at(20)
        assert await store.next_due(["nomod"], after=at(20)) == at(30)
        assert len(await claim(store, nomod=5, seconds=20)) == 1

    async def test_an_open_circuit_is_probed_by_one_job_of_one_process(self, store: Store, twin: Store) -> None:
        for n in range(6):
            await store.add_job(make_job(f"cust_{n}"), now=T0)
        await store.change_circuit("nomod", lambda _: PROBED)
        assert await claim(store, nomod=5, seconds=9) == []
        claims = await asyncio.gather(
            *[which.claim_jobs({"nomod": 5}, owner="w", now=at(10), lease=LEASE) for which in (store, twin) * 3]
        )
        assert sorted(len(each) for each in claims) == [0, 0, 0, 0, 0, 1]
        assert await store.list_circuits() == {"nomod": replace(PROBED, probe_until=at(10) + LEASE)}
        assert await twin.claim_jobs({"nomod": 5}, owner="w", now=at(39), lease=LEASE) == []
        assert len(await twin.claim_jobs({"nomod": 5}, owner="w", now=at(40), lease=LEASE)) == 1
        await store.change_circuit("nomod", lambda _: WELL)
        assert len(await claim(store, nomod=9, seconds=41)) == 5  # the first came back with its lease

    async def test_a_circuit_without_a_job_to_probe_with_stays_ready_for_one(self, store: Store) -> None:
        await store.change_circuit("nomod", lambda _: PROBED)
        assert await claim(store, nomod=5, seconds=11) == []
        assert await store.list_circuits() == {"nomod": PROBED}
        await store.add_job(make_job("one"), now=T0)
        assert len(await claim(store, nomod=5, seconds=11)) == 1

    async def test_nothing_of_a_removed_connection_is_kept(self, store: Store) -> None:
        await store.put_connection(make_connection("nomod"))
        await store.change_budget("nomod", add_one, now=T0)
        await store.change_circuit("nomod", lambda _: PROBED)
        await store.set_connection_status("nomod", status="removed", now=T0)
        assert await store.list_circuits() == {}
        assert (await store.change_budget("nomod", lambda was, _: (was, was), now=T0))[0] is None
