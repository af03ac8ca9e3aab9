"""Mappings by hand over HTTP: link, relink, unlink, export and import, each told to the platform and to the audit."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from connectors.testing.faults import Fault, FaultKind
from gateway.operations import transfers
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Callers, configured

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


def at(customer: str, *, source: str = SOURCE, connection: str = NOMOD, kind: str = "customer") -> str:
    return f"{API}/mappings/{source}/{kind}/{quote(customer, safe='')}/{connection}"


def a_record(rig: Rig, number: int = 1) -> str:
    return str(rig.nomod.seed(first_name=f"Guest {number}", email=f"guest{number}@example.com"))


async def test_a_customer_linked_by_hand_is_told_to_the_platform_and_not_created(rig: Rig, who: Callers) -> None:
    ada, record = rig.flexprice.add_customer(**ADA), a_record(rig)
    linked = await who.operator.ask("PUT", at(ada["id"]), {"provider_entity_id": record, "reason": "from the old list"})
    assert linked.status == 200, linked.body
    assert {
        "source": SOURCE, "entity_type": "customer", "entity_id": ada["id"], "connection": NOMOD,
        "provider_entity_id": record, "status": "linked", "origin": "operator",
    }.items() <= linked.json.items()  # fmt: skip
    await rig.finish()
    assert rig.flexprice.customers[ada["id"]]["metadata"]["nomod_customer_id"] == record
    assert (await who.viewer.items("/mappings"))[0]["written_back_at"] is not None
    await rig.finalize(ada["id"])
    await rig.finish()
    assert rig.nomod.creations == []
    entry = (await who.viewer.items("/audit?action=mapping.linked"))[0]
    assert (entry["actor"], entry["detail"]) == ("key:operator", {"record": record, "reason": "from the old list"})


async def test_linking_the_same_again_changes_nothing(rig: Rig, who: Callers) -> None:
    ada, record = rig.flexprice.add_customer(**ADA), a_record(rig)
    first = await who.operator.ask("PUT", at(ada["id"]), {"provider_entity_id": record})
    await rig.finish()
    before = await who.viewer.items("/mappings")
    again = await who.operator.ask("PUT", at(ada["id"]), {"provider_entity_id": record})
    assert (again.status, again.json["synced_at"]) == (200, first.json["synced_at"])
    assert await who.viewer.items("/mappings") == before
    assert len(await who.viewer.items("/jobs")) == len(await who.viewer.items("/audit?action=mapping.linked")) == 1


async def test_a_customer_is_moved_to_another_record_and_the_platform_told(rig: Rig, who: Callers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    before, record = await rig.linked(ada["id"]), a_record(rig)
    moved = await who.operator.ask("PUT", at(ada["id"]), {"provider_entity_id": record})
    assert moved.json["written_back_at"] is None
    await rig.finish()
    assert rig.flexprice.customers[ada["id"]]["metadata"]["nomod_customer_id"] == record
    entry = (await who.viewer.items("/audit?action=mapping.linked"))[0]
    assert entry["detail"] == {"record": record, "before": before}


async def test_a_record_of_another_customer_is_refused(rig: Rig, who: Callers) -> None:
    record = a_record(rig)
    await who.operator.ask("PUT", at("cust_1"), {"provider_entity_id": record})
    answer = await who.operator.ask("PUT", at("cust_2"), {"provider_entity_id": record})
    assert (answer.status, answer.code) == (409, "record_taken")
    assert await rig.linked("cust_2") is None


async def test_a_record_that_the_provider_does_not_have_is_refused(rig: Rig, who: Callers) -> None:
    answer = await who.operator.ask("PUT", at("cust_1"), {"provider_entity_id": "94bcffbe-ea9c-4d50-8aa2-b20216935487"})
    assert (answer.status, answer.code) == (422, "record_unknown")
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET *", times=99))
    answer = await who.operator.ask("PUT", at("cust_1"), {"provider_entity_id": a_record(rig)})
    assert (answer.status, answer.code) == (502, "provider_api_error")
    assert await who.viewer.items("/mappings") == []


@pytest.mark.parametrize(
    "path", [at("c", source="nobody"), at("c", connection="nobody"), at("c", source=NOMOD, connection=SOURCE)]
)
async def test_a_mapping_needs_a_source_and_a_connection_that_are_there(who: Callers, path: str) -> None:
    answer = await who.operator.ask("PUT", path, {"provider_entity_id": "x"})
    assert (answer.status, answer.code) == (404, "not_found")


async def test_an_unlinked_customer_is_gone_from_the_list_and_the_audit_says_why(rig: Rig, who: Callers) -> None:
    record = a_record(rig)
    await who.operator.ask("PUT", at("cust/ü 1"), {"provider_entity_id": record})
    gone = await who.operator.ask("DELETE", at("cust/ü 1") + "?reason=wrong%20person")
    assert (gone.status, gone.body) == (204, b"")
    assert await who.viewer.items("/mappings") == []
    entry = (await who.viewer.items("/audit?action=mapping.unlinked"))[0]
    assert entry["detail"] == {"record": record, "reason": "wrong person"}
    for method in ("GET", "DELETE"):
        answer = await who.operator.ask(method, at("cust/ü 1"))
        assert (answer.status, answer.code) == (404, "not_found")


# Import and export -------------------------------------------------------------------------------------------------


async def import_json(who: Callers, rows: object, query: str = "") -> Any:
    answer = await who.operator.ask("POST", f"{API}/mappings/import{query}", rows)
    assert answer.status == 200, answer.body
    return answer.json


def row(number: int, record: str, **more: str) -> dict[str, str]:
    return {
        "source": SOURCE, "entity_id": f"cust_{number}", "connection": NOMOD, "provider_entity_id": record, **more,
    }  # fmt: skip


async def test_an_import_links_every_row_once_however_often_it_is_repeated(rig: Rig, who: Callers) -> None:
    rows = [row(number, f"rec_{number}") for number in range(20)]
    counted = await import_json(who, rows, "?dry_run=true")
    assert (counted["rows"], counted["linked"], counted["dry_run"]) == (20, 20, True)
    assert await who.viewer.items("/mappings") == []
    done = await import_json(who, rows)
    assert done == {"rows": 20, "linked": 20, "unchanged": 0, "refused": 0, "refusals": [], "dry_run": False}
    again = await import_json(who, rows)
    assert (again["linked"], again["unchanged"]) == (0, 20)
    assert len(await who.viewer.items("/mappings")) == 20


async def test_a_row_that_is_refused_does_not_keep_the_others_out(rig: Rig, who: Callers) -> None:
    rows = [
        row(1, "rec_1"), row(2, "rec_1"), row(3, "rec_3", connection="nobody"), row(4, ""), {"source": SOURCE},
        row(5, "rec_5", source="UPPER"), row(6, "rec_6", entity_type="customer"),
        row(7, "rec_7", unknown="is not read"), {**row(8, "rec_8"), "entity_id": 8},
    ]  # fmt: skip
    done = await import_json(who, rows)
    assert (done["rows"], done["linked"], done["refused"]) == (9, 3, 6)
    told = {each["row"]: each["code"] for each in done["refusals"]}
    assert told == {
        2: "record_taken", 3: "not_found", 4: "request_invalid", 5: "request_invalid", 6: "request_invalid",
        9: "request_invalid",
    }  # fmt: skip
    assert {each["entity_id"] for each in await who.viewer.items("/mappings")} == {"cust_1", "cust_6", "cust_7"}


async def test_an_import_asks_the_provider_where_it_is_told_to(rig: Rig, who: Callers) -> None:
    there = a_record(rig)
    rows = [row(1, there), row(2, "94bcffbe-ea9c-4d50-8aa2-b20216935487")]
    done = await import_json(who, rows, "?verify=true")
    assert (done["linked"], [each["code"] for each in done["refusals"]]) == (1, ["record_unknown"])


@pytest.mark.parametrize("form", ["csv", "json"])
async def test_what_was_exported_can_be_imported_elsewhere(rig: Rig, who: Callers, form: str) -> None:
    odd = ["=1+1", "'quoted'", 'a "b", c', "-5", "ü\u2028x", "+", "@x"]
    rows = [row(number, f"rec_{number}") | {"entity_id": name} for number, name in enumerate(odd)]
    await import_json(who, rows)
    exported = await who.viewer.ask("GET", f"{API}/mappings/export?format={form}")
    assert exported.status == 200
    assert f'filename="mappings.{form}"' in exported.headers["Content-Disposition"]
    for each in await who.viewer.items("/mappings"):
        await who.operator.ask("DELETE", at(each["entity_id"]))
    kind = {"csv": "text/csv; charset=utf-8", "json": "application/json"}[form]
    answer = await who.operator.ask(
        "POST", f"{API}/mappings/import", raw=exported.body, headers={"Content-Type": kind}
    )  # fmt: skip
    assert (answer.status, answer.json["linked"], answer.json["refused"]) == (200, len(odd), 0), answer.body
    linked = {each["entity_id"]: each["provider_entity_id"] for each in await who.viewer.items("/mappings")}
    assert linked == {name: f"rec_{number}" for number, name in enumerate(odd)}


async def test_an_export_goes_over_many_pages_and_keeps_to_its_filter(
    rig: Rig, who: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.add_quickbooks()
    monkeypatch.setattr(transfers, "PAGE", 3)
    rows = [row(number, f"rec_{number}") for number in range(8)]
    await import_json(who, [*rows, {**row(1, "58"), "connection": QUICKBOOKS}])
    whole = await who.viewer.ask("GET", f"{API}/mappings/export")
    assert len(whole.json) == 9
    assert set(whole.json[0]) >= {"source", "entity_id", "connection", "provider_entity_id", "status", "origin"}
    text = (await who.viewer.ask("GET", f"{API}/mappings/export?format=csv&connection={NOMOD}")).body.decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert [each["entity_id"] for each in table] == [each["entity_id"] for each in rows]
    empty = await who.viewer.ask("GET", f"{API}/mappings/export?status=stale")
    assert empty.json == []


async def test_an_exported_formula_begins_with_an_apostrophe(rig: Rig, who: Callers) -> None:
    await import_json(who, [{**row(1, "rec_1"), "entity_id": "=HYPERLINK()"}])
    text = (await who.viewer.ask("GET", f"{API}/mappings/export?format=csv")).body.decode()
    assert next(csv.DictReader(io.StringIO(text)))["entity_id"] == "'=HYPERLINK()"


@pytest.mark.parametrize(
    "kind,body,status,code",
    [
        ("application/json", b"{}", 400, "request_invalid"),
        ("application/json", b"[1]", 400, "request_invalid"),
        ("application/json", b"", 400, "request_invalid"),
        ("application/json", b"[" * 50 + b"]" * 50, 400, "request_invalid"),
        ("text/csv", b"source,entity_id\r\na,b\r\n", 400, "request_invalid"),
        ("text/csv", b"", 400, "request_invalid"),
        ("text/csv", b"\xff\xfe", 400, "request_invalid"),
        ("text/csv", b'source,entity_id,connection,provider_entity_id\r\n"a', 400, "request_invalid"),
        ("application/xml", b"<a/>", 415, "unsupported_media_type"),
        ("", b"[]", 415, "unsupported_media_type"),
    ],
)
async def test_an_import_that_cannot_be_read_is_refused_whole(
    who: Callers, kind: str, body: bytes, status: int, code: str
) -> None:
    answer = await who.operator.ask("POST", f"{API}/mappings/import", raw=body, headers={"Content-Type": kind})
    assert (answer.status, answer.code) == (status, code), answer.body


async def test_an_import_of_too_many_rows_is_refused_whole(who: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "MAX_ROWS", 3)
    rows = [row(number, f"rec_{number}") for number in range(4)]
    answer = await who.operator.ask("POST", f"{API}/mappings/import", rows)
    assert (answer.status, answer.code) == (400, "request_invalid")
    lines = [",".join(rows[0]), *(",".join(each.values()) for each in rows)]
    answer = await who.operator.ask(
        "POST", f"{API}/mappings/import", raw="\n".join(lines).encode(), headers={"Content-Type": "text/csv"}
    )
    assert (answer.status, answer.code) == (400, "request_invalid")
    assert json.loads((await who.viewer.ask("GET", f"{API}/mappings")).body)["items"] == []
