"""Linked records that die at the provider: found by a scan, put before a person, settled as decided."""

from gateway import keys
from gateway.pipeline.drift import DriftScan
from storage.records import JobStatus, MappingStatus, ReviewStatus
from tests.harness import NOMOD, QUICKBOOKS, Rig


async def scan(rig: Rig, connection: str) -> tuple[int, int, int]:
    """Scan one connection, and work off what was found."""
    live = rig.gateway.app[keys.REGISTRY].connection(connection)
    report = await DriftScan(store=rig.store, now=rig.now).run(live)
    await rig.finish()
    return report.checked, report.gone, report.inactive


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
    assert '"checked":1' in (await rig.store.get_fact(f"connection:{NOMOD}", "drift_report") or "")
