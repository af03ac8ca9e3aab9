"""The gateway killed (SIGKILL) around every durable step and every request, started again, and the promise checked."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway.app import STAGES
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.tithely import TithelySimulator
from tests.crash.clean import Clean, clean_runs
from tests.crash.conftest import THOROUGH
from tests.crash.killing import AFTER, BEFORE, Point, Step, writing_methods
from tests.crash.matrix import Chain, Killing, chains
from tests.crash.nursery import Nursery, open_nursery
from tests.crash.stories_of_customers import Tangled
from tests.crash.story import Story
from tests.ledgers import LedgerNomod
from tests.postgres_setup import NewDatabase

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if THOROUGH else 900)]

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
    "keep_fact": "the gifts of a day, killed around in tests/integration/test_gift_days.py",
    "note_activity": "counts of what was heard and refused",
    "prune_deliveries": "drops bodies of what has ended long ago",
    "put_meta": "facts of the installation, written at its first start",
    "release_jobs": "a stop that is killed leaves jobs to the end of their lease, as every other kill does",
    "roll_up_delivery": "works out a status again",
    "touch_keys": "when API keys were last used",
}
"""Writing methods that no story need come by, each with the reason. A new method has to be put somewhere."""
NOT_RUN = {"check_mapping": "queued by the daily look for drift, which looks again"}
"""Kinds of jobs that no story runs, each with the reason."""
NOT_ASKED = {
    ("flexprice", "DELETE /v1/integrations/link"): "nothing takes a platform's own mapping back",
    ("flexprice", "GET /v1/customers/external/{external_id}"): "customers are read by their id",
    ("flexprice", "GET /v1/integrations/mappings"): "a platform's own mappings are not believed",
    ("flexprice", "GET /v1/payments/{id}"): "a report of a payment is repeated under its key",
    ("flexprice", "POST /v1/customers/search"): "customers are read by their id",
    ("flexprice", "PUT /v1/customers/{id}"): "metadata is written by the route that takes it alone",
    ("nomod", "DELETE /v1/links/{id}/delete"): "links are switched off, and stay to be seen",
    ("nomod", "GET /v1/charges"): "a charge is read by its id",
    ("nomod", "GET /v1/currencies"): "currencies are a table of ours",
    ("nomod", "POST /v1/charges/{id}/refund"): "nothing pays money back",
    ("quickbooks", "GET /connect/oauth2"): "a person's consent",
    ("quickbooks", "GET /v3/company/{realm}/cdc"): "the daily look for drift, which looks again",
    ("quickbooks", "GET /v3/company/{realm}/preferences"): "preferences are queried",
    ("quickbooks", "POST /v2/oauth2/tokens/revoke"): "an operator's request",
    ("quickbooks", "POST /v3/company/{realm}/batch"): "one request a record",
    ("quickbooks", "POST /v3/company/{realm}/invoice/{key}/send"): "mail is a field of the invoice",
    ("quickbooks", "POST /v3/company/{realm}/query"): "for statements too long for an address; it is the same question",
    ("tithely", "GET /api/v1/accounts/{id}"): "a charge holds its donor",
    ("tithely", "GET /api/v1/organizations/{id}"): "the test of a source, which a person asks for",
}
"""Requests that the services know and no story comes by, each with the reason."""
SHARED = ("add_delivery", "claim_jobs", "settle_dispatch", "begin_intent", "refuse_intent", "settle", "save_tokens")
"""Methods around which one of two processes is killed while the other lives on."""
Runs = Mapping[type[Story], Clean]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """What every story comes by when nothing is killed."""

    async def tell() -> Runs:
        async with open_nursery() as nursery:
            return await clean_runs(tmp_path_factory.mktemp("clean"), nursery)

    return asyncio.run(tell())


def offered() -> set[tuple[str, str]]:
    """Return every request that the simulated services know: service, method and path."""
    nomod, flexprice = LedgerNomod().endpoints(), FlexpriceSimulator().endpoints()
    return {
        *(("nomod", f"{method} {path}") for path, methods in nomod.items() for method in methods),
        *(("flexprice", f"{method} /v1{path}") for method, path in flexprice),
        *(("tithely", f"{route.method} {route.path}") for route in TithelySimulator().routes()),
        *(("quickbooks", f"{route.method} {route.path}") for route in QuickBooksSimulator().routes()),
    }


def called_routes(runs: Runs) -> set[tuple[str, str]]:
    """Return those that a story comes by."""
    patterns = {(service, route): re.sub(r"\{[^}]*\}", "[^/]+", route) for service, route in offered()}
    called = {(service, call.route) for run in runs.values() for service, call in (*run.first.calls, *run.again.calls)}
    return {
        known
        for known, pattern in patterns.items()
        if any(service == known[0] and re.fullmatch(pattern, route) for service, route in called)
    }


def test_every_writing_method_of_the_store_is_come_by_or_has_a_reason_not_to_be(runs: Runs) -> None:
    reached = {step.method for run in runs.values() for each in (run.first, run.again) for step in each.steps}
    assert writing_methods() - reached - set(ELSEWHERE) == set()
    assert set(ELSEWHERE) <= writing_methods(), "a reason for a method that is gone"


def test_every_kind_of_job_is_run_in_a_story_or_has_a_reason_not_to_be(runs: Runs) -> None:
    run = {kind for each in runs.values() for kind in each.jobs}
    assert set(STAGES) == run | set(NOT_RUN)


def test_every_request_that_the_services_know_is_sent_in_a_story_or_has_a_reason_not_to_be(runs: Runs) -> None:
    sent = called_routes(runs)
    assert offered() - sent == set(NOT_ASKED)


async def test_killed_around_every_step_and_request_nothing_is_lost_and_nothing_doubled(
    runs: Runs, tmp_path: Path, nursery: Nursery
) -> None:
    wanted = chains(runs, short=not THOROUGH)
    verdict = await Killing(nursery).all(tmp_path, wanted)
    verdict.raise_for_failures()
    missed = [f"{story.name}: {place}" for story, place in verdict.missed]
    certain = [f"{story.name}: {place}" for story, place in verdict.missed if place.number == 1]
    print(f"killed at {len(verdict.killed)} places of {len(runs)} stories; not come by: {missed}")
    assert not certain, f"not come by: {certain}"


@pytest.mark.postgres
async def test_one_of_two_processes_on_postgres_killed_around_a_durable_step_the_other_finishes_its_work(
    tmp_path: Path, nursery: Nursery, new_database: NewDatabase
) -> None:
    await _one_of_two(tmp_path, nursery, await new_database())


async def test_one_of_two_processes_killed_around_a_durable_step_the_other_finishes_its_work(
    tmp_path: Path, nursery: Nursery
) -> None:
    await _one_of_two(tmp_path, nursery, None)


async def _one_of_two(folder: Path, nursery: Nursery, database: str | None) -> None:
    """Kill one of two; where the other was quicker, it has nothing to finish."""
    wanted: Chain = (Tangled, [Point(Step(method, 1), moment) for method in SHARED for moment in (BEFORE, AFTER)])
    verdict = await Killing(nursery, nodes=2, database=database).all(folder, [wanted], tries=0)
    verdict.raise_for_failures()
    missed = [str(place) for _, place in verdict.missed]
    assert len(missed) <= len(wanted[1]) // 2, f"the other process was always quicker: {missed}"
