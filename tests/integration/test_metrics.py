"""What /metrics tells after real work: all that is promised, nothing else, and no label that a stranger can make."""

import asyncio
import random
from datetime import timedelta

import pytest

from connectors.testing import Fault, FaultKind
from gateway import keys
from gateway.budget import Budget
from gateway.families import ALL, LABELS
from tests.harness import NOMOD, QUICKBOOKS, SOURCE, Rig
from tests.integration.test_door import BODY, post, signed
from tests.scraping import Scrape, scrape

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


async def worked(rig: Rig) -> Scrape:
    """One customer in both providers, the second try at one of them; one webhook refused; then what is told."""
    await rig.add_flexprice(options={"reconcile_seconds": 3600})
    await rig.add_nomod()
    await rig.add_quickbooks()
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers", times=3))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await post(rig, BODY, {})
    return await scrape(rig)


async def test_all_that_is_promised_is_told_and_nothing_else(rig: Rig) -> None:
    told = await worked(rig)
    await rig.pause(NOMOD)
    told = await scrape(rig)
    promised = {family.name.removesuffix("_total"): family for family in ALL}
    ours = {name: family for name, family in told.families.items() if name.startswith("ledgergate_")}
    assert set(ours) == set(promised)
    for name, family in ours.items():
        wanted = promised[name]
        assert (family.type, family.documentation) == (wanted.kind, wanted.meaning), name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(wanted.labels), sample
    assert told.value("process_resident_memory_bytes")


async def test_the_numbers_are_those_of_what_was_done(rig: Rig) -> None:
    told = await worked(rig)
    assert told.value("ledgergate_deliveries_accepted_total", source=SOURCE, duplicate="false") == 1
    assert told.value("ledgergate_deliveries_rejected_total", source=SOURCE, reason="headers_missing") == 1
    assert told.value("ledgergate_ack_seconds_count") == 1
    made = {"kind": "ensure_customer", "connection": NOMOD}
    assert told.value("ledgergate_attempts_total", **made, outcome="created", code="") == 1
    assert (told.value("ledgergate_attempts_total", **made, code="provider_api_error") or 0) >= 1
    assert (told.value("ledgergate_provider_request_seconds_count", connection=NOMOD, answer="5xx") or 0) >= 1
    assert (told.value("ledgergate_provider_request_seconds_count", connection=QUICKBOOKS, answer="2xx") or 0) >= 3
    # The platform's time is not counted as the provider's.
    asked = told.value("ledgergate_platform_request_seconds_count", source=SOURCE, answer="2xx") or 0
    assert asked >= 4
    assert told.value("ledgergate_store_up") == told.value("ledgergate_worker_running") == 1
    assert told.value("ledgergate_source_active", source=SOURCE) == 1


async def test_a_token_s_end_is_told_in_time(rig: Rig) -> None:
    await worked(rig)
    live = rig.gateway.app[keys.REGISTRY].connections[QUICKBOOKS]
    assert live.connector is not None
    assert live.connector.host.tokens is not None
    tokens = await live.connector.host.tokens.load()
    assert tokens is not None
    told = await scrape(rig)
    for token, moment in (("access", tokens.access_expires_at), ("refresh", tokens.refresh_expires_at)):
        assert moment is not None
        assert moment - rig.now() > timedelta(0)
        found = told.value("ledgergate_token_expiry_timestamp_seconds", connection=QUICKBOOKS, token=token)
        assert found == pytest.approx(moment.timestamp())


async def test_a_pause_tells_its_reason_and_what_was_removed_is_told_no_more(rig: Rig) -> None:
    """A reason that a person has made up is not a label's value."""
    await worked(rig)
    for reason, label in (("needs_reauth", "needs_reauth"), ("paused_by_operator", "paused_by_operator"),
                          ("because_of_ada", "other")):  # fmt: skip
        await rig.store.set_connection_status(NOMOD, status="paused", reason=reason, now=rig.now())
        await rig.refresh()
        told = await scrape(rig)
        assert told.value("ledgergate_connection_active", connection=NOMOD) == 0
        assert told.value("ledgergate_connection_paused", connection=NOMOD) == 1
        assert told.value("ledgergate_connection_paused", connection=NOMOD, reason=label) == 1
    await rig.remove(NOMOD)
    told = await scrape(rig)
    assert told.value("ledgergate_connection_active", connection=NOMOD) is None
    assert told.value("ledgergate_connection_active", connection=QUICKBOOKS) == 1


async def test_nothing_that_comes_from_outside_makes_a_series(rig: Rig, rng: random.Random) -> None:
    """Sources that are not there, ids, customers, errors in words of their own: as many series as before."""
    await worked(rig)
    await post(rig, BODY, {}, source="one-that-is-not-there")
    await post(rig, BODY, signed(rig, at=-1000))
    before = (await scrape(rig)).series()
    for _ in range(12):
        word = f"{rng.getrandbits(64):x}"
        await post(rig, BODY, {}, source=word)
        await post(rig, BODY, {**signed(rig, at=-rng.randrange(400, 9999)), "User-Agent": word})
        customer = rig.flexprice.add_customer(name=f"Guest {word}", email=f"{word}@example.com")
        await rig.finalize(customer["id"])
    await rig.finish()
    metrics = rig.gateway.app[keys.METRICS]
    for number in range(40):
        metrics.attempted(
            kind="ensure_customer", source=SOURCE, connection=NOMOD, outcome="failed", code=f"made_up_{number}",
            seconds=0.1, exchanges=[],
        )  # fmt: skip
        metrics.looked(SOURCE, "reconcile", code=f"made_up_{number}")
    grown = (await scrape(rig)).series() - before
    assert {name for name, _ in grown} <= {
        "ledgergate_attempts_total", "ledgergate_polls_total", "ledgergate_deliveries_polled_total",
        "ledgergate_provider_request_seconds_bucket", "ledgergate_provider_request_seconds_count",
        "ledgergate_provider_request_seconds_sum",
    }  # fmt: skip
    assert len([name for name, _ in grown if name == "ledgergate_attempts_total"]) <= 3
    assert ("ledgergate_polls_total", "other") in {(name, dict(labels).get("outcome")) for name, labels in grown}
    assert not any("made_up" in value or "Guest" in value for _, labels in grown for _, value in labels)


def test_every_label_says_what_bounds_it() -> None:
    assert {label for family in ALL for label in family.labels} == set(LABELS)
    assert len({family.name for family in ALL}) == len(ALL)
    for family in ALL:
        assert family.name.startswith("ledgergate_")
        assert family.name.endswith("_total") is (family.kind == "counter")
        assert family.meaning.endswith(".")
        assert bool(family.buckets) is (family.kind == "histogram")


async def test_a_budget_counts_who_waits_and_who_is_under_way(rig: Rig) -> None:
    await rig.add_nomod(concurrency=1)
    budget = rig.gateway.app[keys.REGISTRY].connections[NOMOD].budget
    assert isinstance(budget, Budget)

    async def use(until: asyncio.Event) -> None:
        async with budget.slot():
            await until.wait()

    done = asyncio.Event()
    users = [asyncio.create_task(use(done)) for _ in range(3)]
    await rig.until(lambda: budget.under_way == 1 and budget.queued == 2)
    told = await scrape(rig)
    assert told.value("ledgergate_provider_requests_in_flight", connection=NOMOD) == 1
    assert told.value("ledgergate_provider_requests_queued", connection=NOMOD) == 2
    users[1].cancel()
    await rig.until(lambda: budget.queued == 1)
    done.set()
    await asyncio.gather(*users, return_exceptions=True)
    assert (budget.under_way, budget.queued) == (0, 0)
    budget.hold(60)
    assert (await scrape(rig)).value("ledgergate_provider_held_seconds", connection=NOMOD) == pytest.approx(60, abs=20)
