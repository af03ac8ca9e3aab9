"""QuickBooks before a simulated Intuit: creating, finding, and the holder of a taken name."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors import (
    Address,
    ConnectorError,
    DuplicateRefusedError,
    OutcomeUnknownError,
    ProviderError,
    StaleRecordError,
)
from connectors.testing.quickbooks_quirks import DuplicateDetail, InactiveNames
from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from tests.integration.quickbooks_setup import CREATE, KEY, QUERY, READ, Desk, customer, opened_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


# ---------------------------------------------------------------- creating


async def test_a_create_is_one_request_with_the_intents_key_and_ascii_json(desk: Desk) -> None:
    ada = customer(given_name="Ädä", phone="+44 20", address=Address(line1="1 St James", city="London"))
    made = await desk.connector().create_customer(ada, intent=desk.intent())
    (call,) = desk.intuit.calls_of(CREATE)
    assert call.query == {"minorversion": "75", "requestid": KEY}
    assert call.body.isascii()
    stored = desk.intuit.customers[made.provider_entity_id]
    assert stored["DisplayName"] == stored["PrintOnCheckName"] == "Ädä Lovelace"
    assert (stored["GivenName"], stored["FamilyName"]) == ("Ädä", "Lovelace")
    assert stored["PrimaryEmailAddr"] == {"Address": "ada@example.com"}
    assert stored["Notes"] == "[gw:tithely-main:user_7]"
    assert stored["BillAddr"] == {"Line1": "1 St James", "City": "London"}
    assert set(desk.intuit.minor_versions) == {"75"}
    assert made.warnings == ()


async def test_the_same_customer_variant_and_key_give_the_same_bytes_and_one_record(desk: Desk) -> None:
    first = await desk.connector().create_customer(customer(), intent=desk.intent())
    again = await desk.connector().create_customer(customer(), intent=desk.intent())
    one, two = desk.intuit.calls_of(CREATE)
    assert (one.body, one.query) == (two.body, two.query)
    assert first.provider_entity_id == again.provider_entity_id
    assert desk.names() == ["Ada Lovelace"]


@pytest.mark.parametrize(
    "variant, name", [(0, "Ada Lovelace"), (1, "Ada Lovelace (customer)"), (2, "Ada Lovelace (customer slfg5f77)")]
)
async def test_each_variant_is_created_under_its_own_name(desk: Desk, variant: int, name: str) -> None:
    made = await desk.connector().create_customer(customer(), intent=desk.intent(variant))
    stored = desk.intuit.customers[made.provider_entity_id]
    assert (stored["DisplayName"], stored["GivenName"], stored["FamilyName"]) == (name, "Ada", "Lovelace")


@pytest.mark.parametrize("detail", list(DuplicateDetail))
@pytest.mark.parametrize("holder", ["customer", "inactive", "vendor", "employee"])
@pytest.mark.parametrize("inactive_names", list(InactiveNames))
async def test_a_taken_name_is_refused_and_its_holder_is_found(
    desk: Desk, detail: DuplicateDetail, holder: str, inactive_names: InactiveNames
) -> None:
    desk.intuit.quirks.duplicate_detail = detail
    desk.intuit.quirks.inactive_names = inactive_names
    seed = {"vendor": desk.intuit.seed_vendor, "employee": desk.intuit.seed_employee}.get(
        holder, desk.intuit.seed_customer
    )
    record = seed(DisplayName="ADA Lovelace")
    if holder == "inactive":
        desk.intuit.deactivate(record["Id"])
    connector = desk.connector()
    with pytest.raises(DuplicateRefusedError) as refusal:
        await connector.create_customer(customer(), intent=desk.intent())
    assert refusal.value.provider_entity_id in {None, record["Id"]}
    assert refusal.value.provider_code == "6240"
    found = await connector.find_customers(customer(), intent=desk.intent())
    (named,) = [candidate for candidate in found if candidate.holds_name]
    kind = "customer" if holder == "inactive" else holder
    assert named.kind == kind
    # A vendor may have the Id of a customer, so that its Id alone would name another party.
    assert named.provider_entity_id == (record["Id"] if kind == "customer" else f"{kind}:{record['Id']}")
    assert named.adoptable is (holder in {"customer", "inactive"})
    assert named.active is (holder != "inactive")
    assert named.name == "ADA Lovelace"
    made = await connector.create_customer(customer(), intent=desk.intent(1, key=f"{KEY[:-1]}2"))
    assert desk.intuit.customers[made.provider_entity_id]["DisplayName"] == "Ada Lovelace (customer)"


async def test_a_holder_nobody_may_look_at_leaves_an_empty_answer_not_an_error(desk: Desk) -> None:
    desk.intuit.seed_employee(DisplayName="Ada Lovelace")
    desk.intuit.quirks.employee_access = False
    assert await desk.connector().find_customers(customer(), intent=desk.intent()) == []


async def test_a_sub_customer_holds_a_name_and_is_never_adoptable(desk: Desk) -> None:
    parent = desk.intuit.seed_customer(DisplayName="Analytical Engines")
    desk.intuit.seed_customer(
        DisplayName="Ada Lovelace", email="ada@example.com", Job=True, ParentRef={"value": parent["Id"]}
    )
    (found,) = await desk.connector().find_customers(customer(), intent=desk.intent())
    assert (found.kind, found.adoptable, found.holds_name) == ("sub-customer", False, True)


async def test_an_address_that_quickbooks_refuses_does_not_keep_the_customer_out(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.service(2210, "Email Address does not conform", route=CREATE))
    connector = desk.connector()
    made = await connector.create_customer(customer(), intent=desk.intent())
    assert made.warnings == ("e-mail address omitted: QuickBooks refused it",)
    first, second = desk.intuit.calls_of(CREATE)
    assert first.query["requestid"] != second.query["requestid"]
    assert len(second.query["requestid"]) == 36
    assert "PrimaryEmailAddr" not in json.loads(second.body)
    desk.intuit.faults.add(desk.intuit.faults.service(2210, route=CREATE))
    again = await connector.create_customer(customer(), intent=desk.intent())
    assert again.provider_entity_id == made.provider_entity_id
    assert desk.names() == ["Ada Lovelace"]


async def test_a_request_id_that_brings_another_record_is_noticed(desk: Desk) -> None:
    await desk.connector().create_customer(customer(), intent=desk.intent())
    with pytest.raises(OutcomeUnknownError, match="another record"):
        await desk.connector().create_customer(customer(customer_id="user_8", given_name="Eve"), intent=desk.intent())
    assert desk.names() == ["Ada Lovelace"]


@pytest.mark.parametrize("body", [b'{"Customer":{"Id":"58"}}', b'{"Customer":{"Id":58,"SyncToken":"0"}}'])
async def test_an_answer_that_tells_the_id_alone_is_enough(desk: Desk, body: bytes) -> None:
    desk.intuit.faults.add(Fault(kind=FaultKind.REFUSE, route=CREATE, status=200, body=body))
    made = await desk.connector().create_customer(customer(), intent=desk.intent())
    assert made.provider_entity_id == "58"


async def test_an_id_that_is_a_number_is_read_as_text(desk: Desk) -> None:
    row = b'{"Id":58,"DisplayName":"ada lovelace","PrimaryEmailAddr":{"Address":"ADA@example.com"}}'
    body = b'{"QueryResponse":{"Customer":[%b]}}' % row
    desk.intuit.faults.add(Fault(kind=FaultKind.REFUSE, route=QUERY, status=200, body=body, times=3))
    (found,) = await desk.connector().find_customers(customer())
    assert (found.provider_entity_id, found.emails) == ("58", ("ADA@example.com",))
    assert found.holds_variants == frozenset({0})


async def test_a_request_id_still_being_worked_on_is_an_unknown_outcome(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.service(600, route=CREATE))
    with pytest.raises(ProviderError) as failure:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert failure.value.may_have_written
    assert failure.value.provider_code == "600"


async def test_a_company_that_stores_question_marks_is_understood(desk: Desk) -> None:
    desk.intuit.quirks.garble_non_latin1 = True
    zak = customer(given_name="Łukasz", family_name="Żak", email="")
    made = await desk.connector().create_customer(zak, intent=desk.intent())
    assert desk.names() == ["?ukasz ?ak"]
    found = await desk.connector().find_customers(zak, intent=desk.intent())
    assert [(one.provider_entity_id, one.marker, one.holds_name) for one in found] == [
        (made.provider_entity_id, zak.reference, True)
    ]


# ---------------------------------------------------------------- one record by its id


async def test_a_record_is_read_by_its_id_inactive_ones_too(desk: Desk) -> None:
    record = desk.intuit.seed_customer(DisplayName="Ada Lovelace", email="ada@example.com")
    connector = desk.connector()
    found = await connector.get_customer(record["Id"])
    assert found is not None
    assert (found.name, found.emails, found.active) == ("Ada Lovelace", ("ada@example.com",), True)
    desk.intuit.deactivate(record["Id"])
    # Some companies answer 610 for an inactive record: that alone does not mean that it is gone.
    desk.intuit.faults.add(desk.intuit.faults.service(610, "Object Not Found", route=READ))
    found = await connector.get_customer(record["Id"])
    assert found is not None
    assert not found.active


async def test_merged_foreign_and_impossible_ids_are_no_customers(desk: Desk) -> None:
    loser, winner = (desk.intuit.seed_customer(DisplayName=name)["Id"] for name in ("Ada", "Ada Lovelace"))
    vendor = desk.intuit.seed_vendor(DisplayName="V")
    while vendor["Id"] in desk.intuit.customers:
        vendor = desk.intuit.seed_vendor(DisplayName=f"V {vendor['Id']}")
    desk.intuit.merge(loser, winner)
    connector = desk.connector()
    assert await connector.get_customer(loser) is None
    assert await connector.get_customer(vendor["Id"]) is None
    asked = len(desk.intuit.calls)
    for impossible in ("", "x", "1/2", "1 or 1", "../companyinfo/1", "１", "9" * 21):
        assert await connector.get_customer(impossible) is None
    assert len(desk.intuit.calls) == asked


async def test_an_error_is_never_an_absent_record(desk: Desk) -> None:
    record = desk.intuit.seed_customer(DisplayName="Ada Lovelace")
    connector = desk.connector()
    for fault in (
        desk.intuit.faults.html_unavailable(route=READ, times=2),
        desk.intuit.faults.service(2500, route=READ),
        desk.intuit.faults.xml_throttle(route=READ),
    ):
        desk.intuit.faults.add(fault)
        with pytest.raises(ConnectorError):
            await connector.get_customer(record["Id"])
    assert await connector.get_customer(record["Id"]) is not None


async def test_an_inactive_record_is_made_active_and_nothing_else_changes(desk: Desk) -> None:
    record = desk.intuit.seed_customer(DisplayName="Ada Lovelace", email="ada@example.com", Notes="VIP")
    desk.intuit.deactivate(record["Id"])
    await desk.connector().reactivate_customer(record["Id"])
    now = desk.intuit.customers[record["Id"]]
    assert now["Active"] is True
    assert (now["DisplayName"], now["Notes"]) == ("Ada Lovelace", "VIP")
    writes = len(desk.intuit.calls_of(CREATE))
    await desk.connector().reactivate_customer(record["Id"])
    assert len(desk.intuit.calls_of(CREATE)) == writes


@pytest.mark.parametrize("edits, succeeds", [(2, True), (3, False)])
async def test_a_bookkeeper_who_edits_at_the_same_time_is_read_again(desk: Desk, edits: int, *, succeeds: bool) -> None:
    key = desk.intuit.seed_customer(DisplayName="Ada Lovelace")["Id"]
    desk.intuit.deactivate(key)
    left = edits

    async def edit(call: Call, moment: Moment) -> None:
        nonlocal left
        if moment is Moment.BEFORE and call.method == "POST" and call.path.endswith("/customer") and left:
            left -= 1
            desk.intuit.reactivate(key)
            desk.intuit.deactivate(key)

    desk.intuit.hook = edit
    if succeeds:
        await desk.connector().reactivate_customer(key)
        assert desk.intuit.customers[key]["Active"] is True
    else:
        with pytest.raises(ProviderError) as failure:
            await desk.connector().reactivate_customer(key)
        assert failure.value.provider_code == "5010"
    assert len(desk.intuit.calls_of(CREATE)) == 3


async def test_a_record_that_is_gone_cannot_be_made_active(desk: Desk) -> None:
    with pytest.raises(StaleRecordError):
        await desk.connector().reactivate_customer("999")
