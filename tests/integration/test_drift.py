"""Linked records that die at the provider: found by a scan, put before a person, settled as decided."""

from pathlib import Path
from typing import Any

import pytest

from connectors.errors import ConnectorError
from gateway import keys
from gateway.pipeline.drift import Drift, DriftScan
from storage.records import JobStatus, MappingStatus, ReviewStatus
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.cli_setup import cli_of


async def scan(rig: Rig, connection: str) -> tuple[int, int, int]:
    """Scan one connection, and work off what was found."""
    live = rig.gateway.app[keys.REGISTRY].connection(connection)
    report = await DriftScan(store=rig.store, now=rig.now).run(live)
    await rig.finish()
    return report.checked, report.counts[Drift.GONE], report.counts[Drift.INACTIVE]


async def linked(rig: Rig) -> str:
    """Have Ada linked on every connection; return her id at the platform."""
    await rig.add_flexprice()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    return str(ada["id"])


async def test_a_record_that_is_gone_becomes_a_review_and_a_new_one_where_a_person_says_so(rig: Rig) -> None:
    """Deleted at the provider: the link is stale, a person decides, the new record belongs to a new epoch."""
    await rig.add_nomod()
    await linked(rig)
    [record] = rig.nomod.customers
    rig.nomod.remove(record)
    assert await scan(rig, NOMOD) == (1, 1, 0)
    [mapping] = (await rig.store.list_mappings()).items
    [review] = (await rig.store.list_reviews(status=ReviewStatus.OPEN)).items
    assert (mapping.status, mapping.epoch, review.kind) == (MappingStatus.STALE, 1, "stale")
    status, _ = await rig.api("POST", f"/api/v1/reviews/{review.review_id}/resolve", {"decision": "create"})
    assert status == 200
    await rig.finish()
    [mapping] = (await rig.store.list_mappings()).items
    assert mapping.status is MappingStatus.LINKED
    assert [mapping.provider_entity_id] == list(rig.nomod.customers) != [record]


async def test_a_givers_record_that_is_gone_becomes_a_review_too_and_the_next_gift_brings_a_new_one(rig: Rig) -> None:
    """What the scan has found comes of no delivery, which is where givers are read from else."""
    await rig.add_nomod()
    await rig.add_tithely()
    jane: dict[str, Any] = {"donor_id": "user_7", "first_name": "Jane", "last_name": "Doe", "email": "jane@example.org"}
    await rig.give(**jane)
    await rig.finish()
    [record] = rig.nomod.customers
    rig.nomod.remove(record)
    assert await scan(rig, NOMOD) == (1, 1, 0)
    review = await rig.open_review()
    assert (review.kind, review.entity_id) == ("stale", "user_7")
    await rig.resolve("ignore")
    await rig.give(**jane)
    await rig.finish()
    again = await rig.open_review()
    assert (again.kind, again.job_id != review.job_id) == ("stale", True)
    await rig.resolve("create")
    await rig.finish()
    assert [await rig.linked("user_7")] == list(rig.nomod.customers) != [record]


async def lost_giver(rig: Rig) -> str:
    """Have Jane, who has given, lose her record, and a person asked about her; return the record."""
    await rig.add_nomod()
    await rig.add_tithely()
    await rig.give(donor_id="user_7", first_name="Jane", last_name="Doe", email="jane@example.org")
    await rig.finish()
    [record] = rig.nomod.customers
    rig.nomod.remove(record)
    assert await scan(rig, NOMOD) == (1, 1, 0)
    assert (await rig.open_review()).entity_id == "user_7"
    return str(record)


async def test_a_givers_new_record_is_made_from_what_the_last_gift_has_told(rig: Rig) -> None:
    record = await lost_giver(rig)
    await rig.resolve("create")
    await rig.finish()
    [made] = rig.nomod.customers
    assert (await rig.linked("user_7"), rig.nomod.customers[made]["email"]) == (made, "jane@example.org")
    assert made != record


@pytest.mark.parametrize("pruned", [False, True])
async def test_another_record_of_a_giver_is_adopted_also_once_no_gift_is_kept(rig: Rig, *, pruned: bool) -> None:
    await lost_giver(rig)
    if pruned:
        rig.clock.advance(100 * 24 * 3600)
        assert await rig.store.prune_deliveries(before=rig.now(), limit=100) == 1
    other = rig.nomod.seed(first_name="Jane", last_name="Doe", email="jane@example.org")
    await rig.resolve("adopt", other)
    await rig.finish()
    assert await rig.linked("user_7") == other


async def test_no_record_is_made_from_gifts_that_are_kept_no_more(rig: Rig) -> None:
    await lost_giver(rig)
    rig.clock.advance(100 * 24 * 3600)
    assert await rig.store.prune_deliveries(before=rig.now(), limit=100) == 1
    await rig.resolve("create")
    await rig.finish()
    [job] = await rig.jobs(status=JobStatus.FAILED)
    assert (job.kind, job.error["code"]) == ("check_mapping", "customer_not_found")
    assert rig.nomod.customers == {}


async def test_a_merged_customer_of_quickbooks_is_noticed(rig: Rig) -> None:
    """The losing id answers 610; a person links the survivor."""
    await rig.add_quickbooks()
    await linked(rig)
    [loser] = rig.intuit.customers
    winner = rig.intuit.seed_customer(DisplayName="Ada Augusta", email="ada@example.com")["Id"]
    rig.intuit.merge(loser, winner)
    assert await scan(rig, QUICKBOOKS) == (1, 1, 0)
    [review] = (await rig.store.list_reviews(status=ReviewStatus.OPEN)).items
    decision = {"decision": "adopt", "provider_entity_id": winner}
    assert (await rig.api("POST", f"/api/v1/reviews/{review.review_id}/resolve", decision))[0] == 200
    await rig.finish()
    [mapping] = (await rig.store.list_mappings()).items
    assert (mapping.status, mapping.provider_entity_id, mapping.origin) == (MappingStatus.LINKED, winner, "operator")


async def test_an_inactive_customer_is_parked_or_made_active_as_the_setting_says(rig: Rig) -> None:
    """`inactive = "park"` asks; `"reactivate"` makes the record active again without a question."""
    await rig.add_quickbooks(inactive="reactivate")
    await linked(rig)
    [record] = rig.intuit.customers
    rig.intuit.deactivate(record)
    assert await scan(rig, QUICKBOOKS) == (1, 0, 1)
    assert rig.intuit.customers[record]["Active"] is True
    assert (await rig.store.list_reviews()).items == []


async def test_a_scan_of_living_records_changes_nothing(rig: Rig) -> None:
    """No job, no review, and the report is kept."""
    await rig.add_nomod()
    await linked(rig)
    assert await scan(rig, NOMOD) == (1, 0, 0)
    jobs = (await rig.store.list_jobs()).items
    assert {job.kind for job in jobs} == {"ensure_customer", "write_back"}
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    status, told = await rig.api("GET", f"/api/v1/drift/{NOMOD}")
    assert (status, told["checked"], told["findings"], told["error"]) == (200, 1, [], None)


async def test_a_record_that_was_renamed_and_one_that_is_there_twice_are_told_and_not_touched(rig: Rig) -> None:
    """A name, an address, and two billing customers who are one person at the provider: no job, no review."""
    await rig.add_quickbooks()
    await rig.add_flexprice()
    for name, email in (
        ("Ada Lovelace", "ada@example.com"),
        ("Bea Smith", "bea@example.com"),
        ("Cy", "cy@example.com"),
    ):
        await rig.finalize(rig.flexprice.add_customer(name=name, email=email)["id"])
    await rig.finish()
    ids = {each["DisplayName"].split()[0]: key for key, each in rig.intuit.customers.items()}
    ada, bea, cy = ids["Ada"], ids["Bea"], ids["Cy"]
    rig.intuit.customers[ada]["DisplayName"] = "Countess of Lovelace"
    rig.intuit.customers[bea]["PrimaryEmailAddr"] = {"Address": "ada@example.com"}
    assert await scan(rig, QUICKBOOKS) == (3, 0, 0)
    _, told = await rig.api("GET", f"/api/v1/drift/{QUICKBOOKS}")
    found = {(each["kind"], each["provider_entity_id"]): each for each in told["findings"]}
    assert found["renamed", ada]["fields"] == ["name"]
    assert found["renamed", bea]["fields"] == ["email"]
    [twice] = [each for each in told["findings"] if each["kind"] == "doubled"]
    assert {twice["provider_entity_id"], twice["other"]} == {ada, bea}
    assert (told["renamed"], told["doubled"], told["gone"]) == (2, 1, 0)
    assert cy not in {record for _, record in found}
    assert (await rig.store.list_reviews()).items == []
    kept = await rig.store.get_fact(f"connection:{QUICKBOOKS}", "drift_report") or ""
    assert "Lovelace" not in kept
    assert "example.com" not in kept


async def test_a_scan_that_the_provider_cuts_short_says_so(rig: Rig) -> None:
    await rig.add_nomod()
    await linked(rig)
    await rig.nomod.stop()
    live = rig.gateway.app[keys.REGISTRY].connection(NOMOD)
    with pytest.raises(ConnectorError):
        await DriftScan(store=rig.store, now=rig.now).run(live)
    _, told = await rig.api("GET", "/api/v1/drift")
    assert [(each["connection"], each["checked"], each["error"]) for each in told["items"]] == [
        (NOMOD, 0, "unreachable"),
    ]  # fmt: skip
    await rig.nomod.start()


async def test_the_command_line_scans_and_tells(rig: Rig, tmp_path: Path) -> None:
    await rig.add_nomod()
    await linked(rig)
    [record] = rig.nomod.customers
    rig.nomod.remove(record)
    cli = cli_of(rig, tmp_path)
    told = await cli.json("drift", "scan", NOMOD, code=3)
    assert [(each["kind"], each["provider_entity_id"]) for each in told["findings"]] == [("gone", record)]
    await rig.finish()
    await rig.open_review()
    assert "gone" in (await cli.ok("drift", "show", NOMOD)).out
    assert (await cli.json("drift", "list"))["items"][0]["gone"] == 1
