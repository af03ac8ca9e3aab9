"""Creating customers in Nomod: what is written, with one POST, and the only cases in which a second one is sent."""

from collections.abc import AsyncIterator

import orjson
import pytest

from connectors import (
    Address,
    AuthenticationError,
    ConnectorError,
    RejectedError,
)
from connectors.testing.nomod import API_KEY
from connectors.testing.nomod_places import COUNTRIES
from connectors.testing.simulator import Fault, FaultKind
from tests.integration.nomod_setup import POST, Desk, customer, error_body, opened_desk

DUBAI = next(part for part in COUNTRIES["AE"].provinces if part.name == "Dubai")
ADDRESS = Address(
    line1="Office 12", line2="Al Wasl Road", city="Dubai", region="dubai ", postal_code="00000", country="ae"
)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened_desk() as opened:
        yield opened


# What is written


async def test_a_customer_is_created_with_one_request_that_says_who_it_is_from(desk: Desk) -> None:
    made = await desk.connector().create_customer(customer(), intent=desk.intent())
    assert made.warnings == ()
    (call,) = desk.nomod.calls
    assert desk.sent() == [
        {
            "first_name": "Mona Salem",
            "email": "mona@example.com",
            "metadata": {
                "flexprice_customer_id": "cust_1",
                "flexprice_environment": "prod",
                "flexprice_sync_timestamp": "2026-01-20T10:30:00Z",
            },
        }
    ]
    headers = {name.lower(): value for name, value in call.headers.items()}
    assert headers["x-api-key"] == API_KEY
    assert headers["user-agent"] == "ledgergate/1.0"
    assert headers["content-type"] == "application/json"
    assert list(desk.nomod.customers) == [made.provider_entity_id]


async def test_everything_that_is_known_about_a_customer_is_written(desk: Desk) -> None:
    one = customer(
        name="Salem, Mona", given_name="Mona", family_name="Salem", company_name="Acme Trading LLC",
        phone="050 123 4567", address=ADDRESS,
    )  # fmt: skip
    made = await desk.connector(marker=True).create_customer(one, intent=desk.intent())
    record = desk.nomod.customers[made.provider_entity_id]
    assert {key: record[key] for key in record if key not in {"id", "created"}} == {
        "first_name": "Mona", "last_name": "Salem", "business_name": "Acme Trading LLC", "email": "mona@example.com",
        "phone_number": "+971501234567", "job_title": "lg:flexprice-prod:cust_1", "country": "AE",
        "province": DUBAI.id, "street": "Office 12, Al Wasl Road", "city": "Dubai", "zip_code": "00000",
    }  # fmt: skip
    assert made.warnings == ()


@pytest.mark.parametrize("unset", ["empty", "null", "absent"])
@pytest.mark.parametrize("status", [200, 201, 202])
async def test_only_the_id_of_the_answer_is_needed(desk: Desk, unset: str, status: int) -> None:
    desk.nomod.unset, desk.nomod.created_status = unset, status  # type: ignore[assignment]
    made = await desk.connector().create_customer(customer(), intent=desk.intent())
    assert list(desk.nomod.customers) == [made.provider_entity_id]


async def test_what_was_created_is_found_again_under_the_customers_own_name(desk: Desk) -> None:
    connector = desk.connector(lookup="scan")
    for number, name in enumerate(["Salem, Mona", "M" * 200, "Mona\x00 \tSalem"]):
        parts = {"given_name": "Mona", "family_name": "Salem"} if "," in name else {}
        one = customer(name=name, email=f"mona{number}@example.com", **parts)
        made = await connector.create_customer(one, intent=desk.intent())
        (found,) = await connector.find_customers(one, intent=desk.intent())
        assert (found.provider_entity_id, found.name) == (made.provider_entity_id, name)
        assert found.created_at == desk.clock.now()


# Places


@pytest.mark.parametrize("paged", [True, False])
async def test_a_province_is_looked_up_once_for_a_day(desk: Desk, paged: bool) -> None:
    desk.nomod.lookups_paged = paged
    connector = desk.connector()
    for number in range(3):
        made = await connector.create_customer(
            customer(email=f"m{number}@example.com", address=ADDRESS), intent=desk.intent()
        )
        assert desk.nomod.customers[made.provider_entity_id]["province"] == DUBAI.id
    assert len(desk.nomod.calls_of("GET /v1/countries/*")) == 1
    countries = len(desk.nomod.calls_of("GET /v1/countries"))
    desk.clock.advance(86_400)
    await connector.create_customer(customer(email="m@example.com", address=ADDRESS), intent=desk.intent())
    assert len(desk.nomod.calls_of("GET /v1/countries/*")) == 2
    assert len(desk.nomod.calls_of("GET /v1/countries")) == 2 * countries


@pytest.mark.parametrize("region", ["Dubay", "DXB", "Dubai Emirate"])
async def test_a_province_that_is_not_in_the_list_is_left_out(desk: Desk, region: str) -> None:
    one = customer(address=Address(city="Dubai", region=region, country="AE"))
    made = await desk.connector().create_customer(one, intent=desk.intent())
    assert made.warnings == ("province omitted: not known to Nomod by this name",)
    record = desk.nomod.customers[made.provider_entity_id]
    assert (record["country"], record["province"], record["city"]) == ("AE", "", "Dubai")


@pytest.mark.parametrize(
    "body",
    [b"{}", b"null", b"7", b"[7]", b'[{"id":"x"}]', b'{"results":7}', b'[{"code":"AE"}]',
     b'{"results":[{"id":1,"code":"AE"}],"next":"x"}',
     orjson.dumps([{"id": COUNTRIES["AE"].id, "code": "AE", "next_code": "BE"}])],
)  # fmt: skip
@pytest.mark.parametrize("route", ["GET /v1/countries", "GET /v1/countries/*"])
async def test_a_list_of_places_in_another_shape_costs_only_the_province(desk: Desk, route: str, body: bytes) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=route, status=200, body=body, times=50))
    connector = desk.connector()
    made = await connector.create_customer(customer(address=ADDRESS), intent=desk.intent())
    assert made.warnings == ("province omitted: not known to Nomod by this name",)
    assert desk.nomod.customers[made.provider_entity_id]["province"] == ""


async def test_two_provinces_of_one_name_are_not_guessed_between(desk: Desk) -> None:
    body = orjson.dumps([{"id": DUBAI.id, "name": "Dubai"}, {"id": "another", "name": "DUBAI"}])
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route="GET /v1/countries/*", status=200, body=body))
    made = await desk.connector().create_customer(customer(address=ADDRESS), intent=desk.intent())
    assert desk.nomod.customers[made.provider_entity_id]["province"] == ""


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.GARBAGE, FaultKind.REFUSE, FaultKind.DROP_BEFORE])
async def test_places_that_cannot_be_read_cost_only_the_province_and_are_left_alone_for_a_while(
    desk: Desk, kind: FaultKind
) -> None:
    desk.nomod.faults.add(Fault(kind=kind, route="GET /v1/countries*", times=10))
    connector = desk.connector()
    await connector.create_customer(customer(address=ADDRESS), intent=desk.intent())
    desk.nomod.faults.clear()
    asked = len(desk.nomod.calls_of("GET *"))
    await connector.create_customer(customer(email="m1@example.com", address=ADDRESS), intent=desk.intent())
    assert len(desk.nomod.calls_of("GET *")) == asked
    desk.clock.advance(600)
    made = await connector.create_customer(customer(email="m2@example.com", address=ADDRESS), intent=desk.intent())
    assert desk.nomod.customers[made.provider_entity_id]["province"] == DUBAI.id


async def test_a_bad_key_shows_before_the_create_where_places_are_read_first(desk: Desk) -> None:
    connector = desk.connector(api_key="sk_live_Wrong001.x")
    with pytest.raises(AuthenticationError):
        await connector.create_customer(customer(address=ADDRESS), intent=desk.intent())
    assert desk.nomod.calls_of(POST) == []


# The only second requests: after a definite refusal, without what was refused


async def test_a_refused_country_is_left_out_with_the_whole_address(desk: Desk) -> None:
    one = customer(address=Address(city="Nowhere", country="XX"))
    made = await desk.connector().create_customer(one, intent=desk.intent())
    assert made.warnings == ("address omitted: refused by Nomod (invalid_country_code)",)
    first, second = desk.sent()
    assert second == {key: value for key, value in first.items() if key not in {"city", "country"}}
    assert len(desk.nomod.creations) == 1


async def test_a_refused_province_is_left_out_with_the_whole_address(desk: Desk) -> None:
    body = error_body("invalid_province_code")
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=422, body=body))
    made = await desk.connector().create_customer(customer(address=ADDRESS), intent=desk.intent())
    assert made.warnings == ("address omitted: refused by Nomod (invalid_province_code)",)
    assert [sorted(body) for body in desk.sent()] == [
        ["city", "country", "email", "first_name", "metadata", "province", "street", "zip_code"],
        ["email", "first_name", "metadata"],
    ]


@pytest.mark.parametrize(
    "body",
    [
        error_body("invalid", "metadata: Unknown field."), error_body("invalid", "Unknown field.", field="metadata"),
        error_body("invalid", "Bad request", errors={"metadata": ["Unknown."]}), b'{"metadata":["Unexpected field."]}',
        b'{"detail":"Unrecognised key \\"metadata\\""}', b'{"errors":[{"attr":"metadata","detail":"unexpected"}]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [400, 422])
async def test_refused_metadata_is_left_out(desk: Desk, status: int, body: bytes) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=status, body=body))
    made = await desk.connector().create_customer(customer(), intent=desk.intent())
    assert made.warnings == ("metadata omitted: refused by Nomod",)
    assert ["metadata" in body for body in desk.sent()] == [True, False]
    assert len(desk.nomod.creations) == 1


async def test_metadata_and_address_may_both_be_refused(desk: Desk) -> None:
    desk.nomod.refuse_metadata = True
    one = customer(address=Address(city="Nowhere", country="XX"))
    made = await desk.connector().create_customer(one, intent=desk.intent())
    assert len(made.warnings) == 2
    assert [sorted(body) for body in desk.sent()][-1] == ["email", "first_name"]
    assert (len(desk.sent()), len(desk.nomod.creations)) == (3, 1)


@pytest.mark.parametrize("code", ["invalid_country_code", "invalid_province_code"])
async def test_what_is_refused_again_without_it_is_refused_for_good(desk: Desk, code: str) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, body=error_body(code), times=9))
    with pytest.raises(RejectedError, match=code):
        await desk.connector().create_customer(customer(address=ADDRESS), intent=desk.intent())
    assert len(desk.sent()) == 2
    with pytest.raises(RejectedError):
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert len(desk.sent()) == 3


@pytest.mark.parametrize("status", [500, 502, 409, 403, 302, 200])
async def test_only_a_definite_refusal_allows_a_second_request(desk: Desk, status: int) -> None:
    for body in (error_body("invalid_country_code"), error_body("invalid", "metadata: Unknown field.")):
        desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=status, body=body))
        asked = len(desk.sent())
        with pytest.raises(ConnectorError):
            await desk.connector().create_customer(customer(address=ADDRESS), intent=desk.intent())
        assert len(desk.sent()) == asked + 1
