"""From a signed webhook to one customer in QuickBooks: names, namesakes, who is adopted and who is asked about."""

import asyncio
from typing import Any

import pytest

from connectors.models import Customer
from connectors.quickbooks.names import tag_of
from gateway import keys
from gateway.pipeline.drift import DriftScan
from storage.records import DeliveryStatus, ReviewStatus
from tests.harness import QUICKBOOKS, TITHELY, Rig

JOHN: dict[str, Any] = {"first_name": "John", "last_name": "Doe", "email": "john@example.org"}


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_tithely()
    await rig.add_quickbooks()


def records(rig: Rig) -> list[dict[str, Any]]:
    return list(rig.intuit.customers.values())


def names(rig: Rig) -> list[str]:
    return sorted(str(record["DisplayName"]) for record in records(rig))


async def record_of(rig: Rig, delivery: str) -> str | None:
    """Return the record that the customer of a delivery is linked to."""
    return await rig.linked(str((await rig.delivery(delivery)).entity_id), QUICKBOOKS)


NAMING: dict[str, tuple[dict[str, Any], str, str | None, str]] = {
    "first, last and address": (JOHN, "John", "Doe", "John Doe"),
    "no last name": ({"first_name": "John"}, "John", None, "John"),
    "no first name": ({"last_name": "Doe"}, "Doe", "Doe", "Doe"),
    "an address alone": ({"email": "john@example.org"}, "john@example.org", None, "john@example.org"),
    "an address and a last name": ({"last_name": "Doe", "email": "j@example.org"}, "Doe", "Doe", "Doe"),
    "an address and a first name": ({"first_name": "John", "email": "j@example.org"}, "John", None, "John"),
    "blanks around": ({"first_name": "  John ", "last_name": "\tDoe"}, "John", "Doe", "John Doe"),
    "an apostrophe": ({"first_name": "Sinéad", "last_name": "O'Connor"}, "Sinéad", "O'Connor", "Sinéad O'Connor"),
    "a backslash": ({"first_name": "C:\\", "last_name": "Drive"}, "C \\", "Drive", "C \\ Drive"),
    "Polish letters": ({"first_name": "Łukasz", "last_name": "Żółć"}, "Łukasz", "Żółć", "Łukasz Żółć"),
    "Chinese letters": ({"first_name": "小龙", "last_name": "李"}, "小龙", "李", "小龙 李"),
    "a colon": ({"first_name": "Acme:North"}, "Acme North", None, "Acme North"),
}


@pytest.mark.parametrize("name", NAMING)
async def test_a_donor_is_named_as_the_specification_has_it(rig: Rig, name: str) -> None:
    giver, given, family, display = NAMING[name]
    delivery = await rig.give(**giver)
    await rig.finish()
    await rig.check(all_linked=True)
    (record,) = records(rig)
    assert (record["GivenName"], record.get("FamilyName"), record["DisplayName"]) == (given, family, display)
    assert record.get("PrimaryEmailAddr", {}).get("Address") == giver.get("email")
    assert await record_of(rig, delivery) == record["Id"]


async def test_a_gift_that_names_nobody_fails_with_the_reason(rig: Rig) -> None:
    delivery = await rig.give(donor_id="user_1")
    await rig.finish()
    await rig.check()
    found = await rig.delivery(delivery)
    assert found.status is DeliveryStatus.FAILED
    assert str(found.reason).startswith("missing_required_fields")
    assert records(rig) == []


@pytest.mark.parametrize("holder", ["customer", "vendor", "employee", "inactive customer", "inactive vendor"])
@pytest.mark.parametrize("detail", ["text", "null", "id", "french"])
async def test_a_name_that_somebody_else_holds_gets_the_addition(rig: Rig, holder: str, detail: str) -> None:
    """The holder has another address, or is no customer at all; the refusal may say anything beside its number."""
    rig.intuit.quirks.duplicate_detail = detail
    kind = holder.rpartition(" ")[2]
    seed = {
        "customer": rig.intuit.seed_customer,
        "vendor": rig.intuit.seed_vendor,
        "employee": rig.intuit.seed_employee,
    }
    fields = {"GivenName": "john", "FamilyName": "DOE"} if kind == "employee" else {}
    held = seed[kind](DisplayName="john DOE", email="other@example.org", **fields)
    if holder.startswith("inactive"):
        rig.intuit.deactivate(held["Id"], entity=kind.title())
    delivery = await rig.give(**JOHN)
    await rig.finish()
    await rig.check(all_linked=True)
    record = rig.intuit.customers[str(await record_of(rig, delivery))]
    assert record["DisplayName"] == "John Doe (customer)"
    assert (record["GivenName"], record["FamilyName"]) == ("John", "Doe")


async def test_a_name_held_by_an_employee_whom_we_may_not_see_gets_the_addition_after_a_second_look(rig: Rig) -> None:
    rig.intuit.quirks.employee_access = False
    rig.intuit.seed_employee(GivenName="John", FamilyName="Doe", DisplayName="John Doe")
    await rig.give(**JOHN)
    await rig.finish()
    await rig.check(all_linked=True)
    assert names(rig) == ["John Doe (customer)"]


async def test_when_both_names_are_held_the_donors_own_tag_decides_for_ever(rig: Rig) -> None:
    rig.intuit.seed_vendor(DisplayName="John Doe")
    rig.intuit.seed_customer(DisplayName="John Doe (customer)", email="other@example.org")
    await rig.give(donor_id="user_7", **JOHN)
    await rig.finish()
    await rig.check(all_linked=True)
    who = Customer(source=TITHELY, platform="tithely", environment_id="prod", customer_id="user_7")
    assert f"John Doe (customer {tag_of(who)})" in names(rig)


async def test_when_all_names_are_held_a_person_is_asked(rig: Rig) -> None:
    who = Customer(source=TITHELY, platform="tithely", environment_id="prod", customer_id="user_7")
    for name in ("John Doe", "John Doe (customer)", f"John Doe (customer {tag_of(who)})"):
        rig.intuit.seed_vendor(DisplayName=name)
    delivery = await rig.give(donor_id="user_7", **JOHN)
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    assert (await rig.open_review()).kind == "conflict"
    assert records(rig) == []


@pytest.mark.parametrize("nodes,people", [(1, 20), (2, 6)])
async def test_customers_named_alike_have_a_record_each(rig: Rig, nodes: int, people: int) -> None:
    if nodes == 2:
        await rig.start_node()
    givers = [{**JOHN, "donor_id": f"user_{n}", "email": f"john{n}@example.org"} for n in range(people)]
    deliveries = await asyncio.gather(*(rig.give(node=n % nodes, **giver) for n, giver in enumerate(givers)))
    await rig.finish()
    await rig.check(all_linked=True)
    assert len({await record_of(rig, delivery) for delivery in deliveries}) == people
    assert names(rig)[0] == "John Doe"
    assert len(names(rig)) == people
    if nodes == 1:  # they wait in line, and nobody asks for a name that the look-up has shown to be held
        assert len(rig.intuit.calls_of("POST /v3/company/*/customer")) == people


async def test_two_customers_with_one_address_have_a_record_each(rig: Rig) -> None:
    """Names differ, so the second is nobody's but hers; equal ones share the address and get the addition."""
    deliveries = await asyncio.gather(
        rig.give(donor_id="user_1", **JOHN), rig.give(donor_id="user_2", **{**JOHN, "first_name": "Jane"}),
        rig.give(donor_id="user_3", **JOHN),
    )  # fmt: skip
    await rig.finish()
    await rig.check(all_linked=True)
    assert len({await record_of(rig, delivery) for delivery in deliveries}) == 3
    assert names(rig) == ["Jane Doe", "John Doe", "John Doe (customer)"]


async def test_an_existing_customer_with_the_address_and_the_name_is_adopted(rig: Rig) -> None:
    there = rig.intuit.seed_customer(DisplayName="John Doe", email="JOHN@example.org")
    delivery = await rig.give(**JOHN)
    await rig.finish()
    await rig.check(all_linked=True)
    assert await record_of(rig, delivery) == there["Id"]
    assert names(rig) == ["John Doe"]


async def test_an_existing_customer_with_the_address_and_another_name_is_put_before_a_person(rig: Rig) -> None:
    there = rig.intuit.seed_customer(DisplayName="Mary Smith", email=JOHN["email"])
    delivery = await rig.give(**JOHN)
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    await rig.resolve("adopt", there["Id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await record_of(rig, delivery) == there["Id"]


async def test_a_person_who_wants_a_new_record_beside_a_namesake_gets_it_with_the_addition(rig: Rig) -> None:
    """The decision is carried out through all names, without asking again."""
    for name in ("John Doe", "J. Doe"):
        rig.intuit.seed_customer(DisplayName=name, email=JOHN["email"], CompanyName="Somebody else")
    rig.intuit.seed_customer(DisplayName="Doe John", email=JOHN["email"])
    rig.intuit.rename(rig.intuit.customers_named("John Doe")[0]["Id"], "Johnny Doe")
    rig.intuit.seed_vendor(DisplayName="John Doe")
    delivery = await rig.give(**JOHN)
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    await rig.resolve("create")
    await rig.finish()
    await rig.check(all_linked=True)
    assert "John Doe (customer)" in names(rig)


@pytest.mark.parametrize("found_too", [True, False])
async def test_a_record_that_the_platform_names_and_that_was_put_away_goes_before_a_person(
    rig: Rig, *, found_too: bool
) -> None:
    """Also where the look-up does not show it yet: it was read by its id."""
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    [record] = rig.intuit.customers
    rig.intuit.quirks.query_lag = 0.0 if found_too else 400.0
    rig.intuit.deactivate(record)
    [mapping] = await rig.mappings(entity_id=ada["id"])
    await rig.store.delete_mapping(mapping.key, now=rig.now())
    await rig.finalize(ada["id"])
    await rig.finish()
    review = await rig.open_review()
    assert (review.kind, [each["provider_entity_id"] for each in review.candidates]) == ("inactive", [record])
    assert list(rig.intuit.customers) == [record]


async def test_an_inactive_record_that_the_platform_names_gives_way_to_an_active_one(rig: Rig) -> None:
    gone = str(rig.intuit.seed_customer(DisplayName="Ada", email="ada@example.com")["Id"])
    rig.intuit.deactivate(gone)
    there = str(rig.intuit.seed_customer(DisplayName="Ada Lovelace", email="ada@example.com")["Id"])
    ada = rig.flexprice.add_customer(
        name="Ada Lovelace", email="ada@example.com", metadata={"quickbooks_customer_id": gone}
    )
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"], QUICKBOOKS) == there


@pytest.mark.parametrize("setting,end", [("park", "needs_review"), ("new", "processed"), ("reactivate", "processed")])
async def test_an_inactive_customer_with_the_address_is_treated_as_the_setting_says(
    rig: Rig, setting: str, end: str
) -> None:
    await rig.add_quickbooks(inactive=setting)
    there = rig.intuit.seed_customer(DisplayName="John Doe", email=JOHN["email"])
    rig.intuit.deactivate(there["Id"])
    delivery = await rig.give(**JOHN)
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status == end
    assert rig.intuit.customers[there["Id"]]["Active"] is (setting == "reactivate")
    assert names(rig) == (["John Doe", "John Doe (customer)"] if setting == "new" else ["John Doe"])


async def test_flexprices_customers_come_with_their_whole_name_and_the_write_back(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(name="Ada King Lovelace", email="ada@example.com", metadata={"plan": "gold"})
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    (record,) = records(rig)
    assert (record["DisplayName"], record["GivenName"]) == ("Ada King Lovelace", "Ada King Lovelace")
    assert rig.flexprice.customers[ada["id"]]["metadata"]["quickbooks_customer_id"] == record["Id"]


async def test_a_record_that_was_merged_away_is_put_before_a_person_who_links_the_survivor(rig: Rig) -> None:
    """The daily look finds it; the customer's next gift waits for the same decision."""
    first = await rig.give(donor_id="user_7", **JOHN)
    await rig.finish()
    record = str(await record_of(rig, first))
    survivor = rig.intuit.seed_customer(DisplayName="John and Jane Doe")["Id"]
    rig.intuit.merge(record, survivor)
    live = rig.gateway.app[keys.REGISTRY].connections[QUICKBOOKS]
    assert (await DriftScan(store=rig.store, now=rig.now).run(live)).counts["gone"] == 1
    await rig.refresh()
    await rig.finish()
    later = await rig.give(donor_id="user_7", **JOHN)
    await rig.finish()
    assert (await rig.delivery(later)).status is DeliveryStatus.NEEDS_REVIEW
    asked = (await rig.store.list_reviews(status=ReviewStatus.OPEN)).items
    assert {review.kind for review in asked} == {"stale"}
    await rig.store.resolve_review(
        asked[0].review_id, decision="adopt", provider_entity_id=survivor, by="tests", now=rig.now()
    )
    await rig.refresh()
    await rig.finish()
    await rig.check(all_linked=True)
    assert await record_of(rig, later) == survivor
    assert names(rig) == ["John and Jane Doe"]
