"""Lists over HTTP: pages by cursors that leave nothing out, and each of their filters."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from gateway.sandbox.sender import Mode
from tests.configuring import SOURCE, TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Callers, configured

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BEA = {"name": "Bea", "email": "bea@example.com"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


async def test_lists_are_paged_by_cursors_that_leave_nothing_out(rig: Rig, who: Callers) -> None:
    ids = [await rig.finalize(rig.flexprice.add_customer(**ADA)["id"]) for _ in range(7)]
    await rig.finish()
    for noun, key, count in (("deliveries", "delivery_id", 7), ("jobs", "job_id", 14), ("mappings", "entity_id", 7)):
        seen: list[Any] = []
        cursor, pages = "", 0
        while pages == 0 or cursor:
            page = await who.viewer.get(f"/{noun}?limit=3" + (f"&cursor={quote(cursor)}" if cursor else ""))
            seen += page["items"]
            cursor, pages = page["next_cursor"], pages + 1
            assert len(page["items"]) <= 3
        assert len({each[key] for each in seen}) == len(seen) == count
        assert pages == -(-count // 3)
    newest_first = [each["delivery_id"] for each in await who.viewer.items("/deliveries")]
    assert newest_first == ids[::-1]


async def test_small_lists_are_paged_too(rig: Rig, who: Callers) -> None:
    for number in range(4):
        await rig.add_nomod(f"nomod-{number}", outbound=False)
        await rig.add_flexprice(f"flexprice-{number}")
    for noun, count in (("connections", 5), ("sources", 5), ("keys", 3)):
        names: list[str] = []
        cursor = ""
        while not names or cursor:
            page = await who.viewer.get(f"/{noun}?limit=2" + (f"&cursor={quote(cursor)}" if cursor else ""))
            names += [each["name"] for each in page["items"]]
            cursor = page["next_cursor"]
        assert len(set(names)) == len(names) == count
        if noun != "keys":
            assert names == sorted(names)


@pytest.mark.parametrize("noun", ["deliveries", "jobs", "mappings", "reviews", "customers", "audit", "sources", "keys"])
async def test_a_limit_outside_of_1_to_1000_and_a_foreign_cursor_are_refused(who: Callers, noun: str) -> None:
    assert (await who.viewer.ask("GET", f"{API}/{noun}?limit=1000")).status == 200
    for wrong in ("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1.5", "limit=", "cursor=", "limit=1&limit=2"):
        answer = await who.viewer.ask("GET", f"{API}/{noun}?{wrong}")
        assert (answer.status, answer.code) == (400, "request_invalid"), wrong
    for cursor in ("x", "!", "bnVsbA", "W10", "%00", "A" * 1999):
        answer = await who.viewer.ask("GET", f"{API}/{noun}?cursor={cursor}")
        assert (answer.status, answer.code) == (400, "cursor_invalid"), cursor


async def test_deliveries_are_found_by_each_filter(rig: Rig, who: Callers) -> None:
    await rig.add_flexprice("flexprice-two")
    ada, bea = rig.flexprice.add_customer(**ADA), rig.flexprice.add_customer(**BEA)
    first = await rig.finalize(ada["id"])
    rig.clock.advance(100)
    second = await rig.finalize(bea["id"], source="flexprice-two")
    ignored = await rig.send({"event_type": "invoice.create.drafted"}, mode=Mode.WEBHOOK)
    await rig.finish()

    async def found(query: str) -> set[str]:
        return {each["delivery_id"] for each in await who.viewer.items(f"/deliveries?{query}")}

    assert await found("status=processed") == {first, second}
    assert await found("status=ignored") == await found("event_type=invoice.create.drafted") == {ignored}
    assert await found("source=flexprice-two") == {second}
    assert await found("source=nobody") == set()
    between = quote((rig.now() - timedelta(seconds=50)).isoformat())
    assert await found(f"since={between}") == {second, ignored}
    assert await found(f"until={between}") == {first}
    record = await rig.linked(ada["id"])
    invoice = (await who.viewer.get(f"/deliveries/{first}"))["subject"]
    for text in (first, ada["id"], invoice, "lovelace", "ADA@", str(record)):
        assert await found(f"text={quote(text)}") == {first}, text
    assert await found("text=nothing-of-the-kind") == set()
    assert await found(f"connection={NOMOD}") == {first, second}
    failed = await rig.finalize(rig.flexprice.add_customer(name="No Mail", email="")["id"])
    await rig.finish()
    assert await found("error_code=missing_required_fields") == {failed}
    assert await found(f"error_code=missing_required_fields&connection={NOMOD}&text=No") == {failed}
    assert await found(f"error_code=missing_required_fields&connection={QUICKBOOKS}") == set()


async def test_jobs_are_found_by_each_filter(rig: Rig, who: Callers) -> None:
    ada, bea = rig.flexprice.add_customer(**ADA), rig.flexprice.add_customer(**BEA)
    first = await rig.finalize(ada["id"])
    await rig.finish()
    rig.clock.advance(7200)
    await rig.finalize(bea["id"])
    await rig.finish()

    async def found(query: str) -> list[tuple[str, str]]:
        return [(each["entity_id"], each["kind"]) for each in await who.viewer.items(f"/jobs?{query}")]

    ensured, wrote = (ada["id"], "ensure_customer"), (ada["id"], "write_back")
    assert await found(f"delivery_id={first}") == [wrote, ensured]
    assert await found(f"entity_id={ada['id']}&kind=write_back") == [wrote]
    assert len(await found("status=succeeded")) == len(await found(f"source={SOURCE}")) == 4
    assert await found("status=failed") == await found(f"connection={QUICKBOOKS}") == []
    between = quote((rig.now() - timedelta(seconds=3600)).isoformat())
    assert await found(f"until={between}") == [wrote, ensured]
    assert {each for each, _ in await found(f"since={between}")} == {bea["id"]}
    for text in ("Lovelace", first, ada["id"], str(await rig.linked(ada["id"]))):
        assert await found(f"text={quote(text)}") == [wrote, ensured], text


async def test_mappings_and_reviews_and_the_audit_are_found_by_their_filters(rig: Rig, who: Callers) -> None:
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email=BEA["email"])
    ada, bea = rig.flexprice.add_customer(**ADA), rig.flexprice.add_customer(**BEA)
    await rig.finalize(ada["id"])
    await rig.finalize(bea["id"])
    await rig.finish()
    record = await rig.linked(ada["id"])
    for query in (f"entity_id={ada['id']}", f"provider_entity_id={record}", "status=linked", f"connection={NOMOD}",
                  "text=lovelace", f"text={record}"):  # fmt: skip
        assert ada["id"] in [each["entity_id"] for each in await who.viewer.items(f"/mappings?{query}")], query
    assert await who.viewer.items("/mappings?status=stale") == await who.viewer.items("/mappings?source=other") == []
    assert await who.viewer.items("/mappings?text=nobody") == []
    review = (await who.viewer.items("/reviews"))[0]
    now, delivery = quote(rig.now().isoformat()), (await who.viewer.get(f"/jobs/{review['job_id']}"))["delivery_id"]
    for query in ("kind=ambiguous", f"entity_id={bea['id']}", f"job_id={review['job_id']}", f"connection={NOMOD}",
                  f"source={SOURCE}", f"until={now}", "text=bea@", f"text={delivery}",
                  f"text={review['review_id']}"):  # fmt: skip
        assert await who.viewer.items(f"/reviews?{query}") == [review], query
    assert await who.viewer.items("/reviews?status=resolved") == await who.viewer.items("/reviews?kind=stale") == []
    for query in (f"since={now}", "source=other", "text=lovelace"):
        assert await who.viewer.items(f"/reviews?{query}") == [], query
    entries = await who.viewer.items(f"/audit?subject={NOMOD}&action=connection.created")
    assert [(each["actor"], each["tenant_id"]) for each in entries] == [("tests", TENANT)]
    for query, count in ((f"until={now}&actor=tests", 1), (f"since={now}", 0), ("actor=admin", 0)):
        assert len(await who.viewer.items(f"/audit?subject={NOMOD}&{query}")) == count, query
    customers = await who.viewer.items("/customers?text=lovelace")
    assert [each["customer_id"] for each in customers] == [ada["id"]]
    assert [each["provider_entity_id"] for each in customers[0]["mappings"]] == [record]
