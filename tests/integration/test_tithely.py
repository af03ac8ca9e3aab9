"""From a signed gift to a customer in QuickBooks: names, identity, placeholders, and what cannot be used."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway.errors import ConfigFileError
from gateway.sandbox.sender import Mode
from gateway.sources.signing import sign
from tests.harness import QUICKBOOKS, Rig, open_rig
from tests.integration.polling_setup import TITHELY, add_tithely, give, poll_config
from tests.invariants import check_secrecy


@pytest.fixture
async def church(tmp_path: Path) -> AsyncIterator[Rig]:
    """A church with Tithely and QuickBooks; its connection does not ask for invoices."""
    async with open_rig(tmp_path) as rig:
        await add_tithely(rig)
        await rig.add_quickbooks(outbound=False)
        yield rig


def told(intuit: QuickBooksSimulator) -> list[tuple[str, str, str]]:
    """Display name, given name and family name of every customer, in the order of their ids."""
    records = sorted(intuit.customers.values(), key=lambda record: int(record["Id"]))
    return [(r["DisplayName"], r.get("GivenName", ""), r.get("FamilyName", "")) for r in records]


async def test_a_gift_makes_its_donor_a_customer_once_and_tells_nobody_back(church: Rig) -> None:
    jane = church.tithely.add_donor(first_name="Jane", last_name="Doe", email="jane@example.com")
    deliveries = [await give(church, donor_id=jane) for _ in range(3)]
    await church.finish()
    assert told(church.intuit) == [("Jane Doe", "Jane", "Doe")]
    assert {(await church.delivery(delivery)).status for delivery in deliveries} == {"processed"}
    assert await church.linked(jane, QUICKBOOKS) is not None
    assert {job.kind for job in await church.jobs()} == {"ensure_customer"}
    await church.check(all_linked=True)


@pytest.mark.parametrize(
    "giver,names",
    [
        (("John", "Doe", "john@example.com"), ("John Doe", "John", "Doe")),
        (("John", "Doe", ""), ("John Doe", "John", "Doe")),
        (("", "Doe", "doe@example.com"), ("Doe", "Doe", "Doe")),
        (("John", "", "john@example.com"), ("John", "John", "")),
        (("", "", "anon@example.com"), ("anon@example.com", "anon@example.com", "")),
    ],
)
async def test_the_names_are_those_of_the_specification(
    church: Rig, giver: tuple[str, str, str], names: tuple[str, str, str]
) -> None:
    first, last, email = giver
    await give(church, with_donor_id=False, first_name=first, last_name=last, email=email)
    await church.finish()
    assert told(church.intuit) == [names]
    await church.check(all_linked=True)


async def test_a_name_that_somebody_else_has_gets_the_specification_s_suffix(church: Rig) -> None:
    for email in ("john.1@example.com", "john.2@example.com"):
        await give(church, first_name="John", last_name="Doe", email=email)
        await church.finish()
    assert [name for name, _, _ in told(church.intuit)] == ["John Doe", "John Doe (customer)"]
    await church.check(all_linked=True)


@pytest.mark.parametrize("with_donor_id", [True, False])
async def test_the_api_tells_the_donor_s_record_by_an_id_that_anybody_can_work_out(
    church: Rig, *, with_donor_id: bool
) -> None:
    jane = church.tithely.add_donor(first_name="Jane", email="Jane@Example.com")
    await give(church, with_donor_id=with_donor_id, donor_id=jane)
    await church.finish()
    customer_id = jane if with_donor_id else f"email:{hashlib.sha256(b'jane@example.com').hexdigest()[:32]}"
    status, told_back = await church.api("GET", f"/api/v1/customers/{customer_id}/integrations")
    assert (status, told_back["customer_id"]) == (200, customer_id)
    assert told_back["integrations"]["quickbooks"]["quickbooks_customer_id"] in church.intuit.customers


async def test_gifts_of_one_address_at_the_same_time_make_one_customer(church: Rig) -> None:
    emails = ["jane@example.com", "Jane@Example.com", "JANE@EXAMPLE.COM", " jane@example.com "] * 5
    gifts = [give(church, with_donor_id=False, first_name="Jane", last_name="Doe", email=email) for email in emails]
    await asyncio.gather(*gifts)
    await church.finish()
    assert told(church.intuit) == [("Jane Doe", "Jane", "Doe")]
    assert len({job.entity_id for job in await church.jobs()}) == 1
    await church.check(all_linked=True)


async def test_a_gift_that_names_nobody_fails_for_missing_fields(church: Rig) -> None:
    delivery = await church.delivery(await give(church))
    await church.finish()
    delivery = await church.delivery(delivery.delivery_id)
    assert delivery.status == "failed"
    assert ((await church.job()).error or {})["code"] == "missing_required_fields"
    assert told(church.intuit) == []


@pytest.mark.parametrize(
    "body,status,reason",
    [
        (b"no json", "failed", "payload_invalid: the body is not JSON"),
        (b'{"type":"transaction.created","data":{"amount":"1"}}', "failed", "payload_invalid: data.transaction_id"),
        (b'{"type":"transaction.refunded","data":{}}', "ignored", "transaction.refunded is not a trigger"),
    ],
)
async def test_what_cannot_be_used_is_acknowledged_and_ends_with_its_reason(
    church: Rig, body: bytes, status: str, reason: str
) -> None:
    delivery_id = await church.send(body, source=TITHELY, mode=Mode.WEBHOOK)
    await church.finish()
    delivery = await church.delivery(delivery_id)
    assert (delivery.status, (delivery.reason or "")[: len(reason)]) == (status, reason)
    assert await church.jobs() == []


@pytest.mark.parametrize("family", ["webhook", "svix"])
async def test_the_documented_way_to_sign_is_taken(church: Rig, family: str) -> None:
    body = b'{"type":"transaction.created","data":{"transaction_id":"ch_1","email":"jane@example.com"}}'
    when = int(church.clock.unix())
    headers = sign(church.secret, message_id="msg_1", timestamp=when, body=body, scheme=family)
    assert church._session is not None
    async with church._session.post(f"{church.gateway.url}/webhooks/{TITHELY}", data=body, headers=headers) as answer:
        assert answer.status == 202
    async with church._session.post(f"{church.gateway.url}/webhooks/{TITHELY}", data=body) as answer:
        assert answer.status == 401
    await church.finish()


# Placeholder addresses -----------------------------------------------------------------------------------------------


async def test_a_made_up_address_goes_before_a_person_and_nothing_is_asked_of_the_provider(church: Rig) -> None:
    asked = len(church.intuit.calls)
    delivery_id = await give(church, first_name="Unknown", email="a8f2k1@tithe.ly")
    await church.finish()
    assert (await church.delivery(delivery_id)).status == "needs_review"
    review = await church.open_review()
    assert (review.kind, review.customer["name"]) == ("placeholder_email", "Unknown")
    assert len(church.intuit.calls) == asked
    assert told(church.intuit) == []


async def test_a_person_may_have_it_created_all_the_same(church: Rig) -> None:
    delivery_id = await give(church, first_name="Unknown", email="a8f2k1@tithe.ly")
    await church.finish()
    await church.resolve("create")
    await church.finish()
    assert [name for name, _, _ in told(church.intuit)] == ["Unknown"]
    assert (await church.delivery(delivery_id)).status == "processed"
    await church.check(all_linked=True)


async def test_a_person_may_say_which_record_is_the_giver_s(church: Rig) -> None:
    record = church.intuit.seed_customer(DisplayName="Cash and checks")
    delivery_id = await give(church, first_name="Unknown", email="a8f2k1@tithe.ly")
    await church.finish()
    await church.resolve("adopt", str(record["Id"]))
    await church.finish()
    assert [name for name, _, _ in told(church.intuit)] == ["Cash and checks"]
    assert (await church.mappings())[0].provider_entity_id == record["Id"]
    assert (await church.delivery(delivery_id)).status == "processed"


async def test_a_person_may_leave_it_at_that(church: Rig) -> None:
    await give(church, first_name="Unknown", email="a8f2k1@tithe.ly")
    await church.finish()
    await church.resolve("ignore")
    await church.finish()
    assert told(church.intuit) == []
    assert await church.mappings() == []


async def test_a_donor_who_is_linked_already_needs_no_second_decision(church: Rig) -> None:
    jane = church.tithely.add_donor(first_name="Jane", email="a8f2k1@tithe.ly")
    await give(church, donor_id=jane)
    await church.finish()
    await church.resolve("create")
    await church.finish()
    delivery_id = await give(church, donor_id=jane)
    await church.finish()
    assert (await church.delivery(delivery_id)).status == "processed"


# What stays out ------------------------------------------------------------------------------------------------------


async def test_neither_log_nor_job_tells_who_gave(church: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    await give(church, with_donor_id=False, first_name="Zacharias", last_name="Quux", email="z.quux@example.com")
    await give(church, with_donor_id=False, first_name="Zacharias", last_name="Quux")
    await give(church, donor_id=church.tithely.add_donor(first_name="Zacharias", email="z9@tithe.ly"))
    await church.finish()
    written = "".join(capfd.readouterr())
    assert "attempt" in written  # the log was read at all
    check_secrecy(written, secrets=[church.secret])
    kept = written + str([(job.entity_id, job.lock_key, job.reason, job.error) for job in await church.jobs()])
    assert "quux" not in kept.casefold()
    assert "zacharias" not in kept.casefold()


@pytest.mark.parametrize(
    "spec,line",
    [
        ({"options": {"placeholders": []}}, "source tithely-main: options: placeholders: unknown key"),
        ({"options": {"placeholder_emails": ["*"]}}, "source tithely-main: options: placeholder_emails[0]: "),
        ({"platform": "flexprice", "options": {"x": 1}}, "source tithely-main: options: x: unknown key"),
        ({"platform": "tirdad", "options": {"reconcile_seconds": 0.5}}, "source tithely-main: options: reconcile_sec"),
        ({"platform": "flexprice", "poll": True}, "source tithely-main: poll: not for platform flexprice"),
    ],
)
async def test_settings_that_the_platform_does_not_know_are_refused_in_one_line(
    church: Rig, spec: dict[str, Any], line: str
) -> None:
    if spec.get("poll"):
        spec = {**spec, "poll": poll_config(church)}
    with pytest.raises(ConfigFileError) as caught:
        await add_tithely(church, **spec)
    assert caught.value.detail.startswith(line)
    assert "\n" not in caught.value.detail
