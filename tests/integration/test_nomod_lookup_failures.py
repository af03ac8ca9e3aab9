"""Looking customers up in Nomod: what an answer that is not whole becomes, and what may be asked for by id."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors import (
    AuthenticationError,
    ConnectorError,
    EdgeBlockedError,
    LookupImpossibleError,
    PermissionRefusedError,
    ProviderError,
    RateLimitedError,
    UnexpectedResponseError,
    UnreachableError,
)
from connectors.testing.nomod import FilterMode
from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from tests.integration.nomod_setup import GET, LIST, MODES, Desk, crowd, customer, ids, opened_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened_desk() as opened:
        yield opened


# An answer that is not whole is an error, never "not found"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "fault, error",
    [
        (Fault(kind=FaultKind.REFUSE, status=404), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=404, body=b"<html>", content_type="text/html"), EdgeBlockedError),
        (Fault(kind=FaultKind.REFUSE, status=400), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=422), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=405), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=401), AuthenticationError),
        (Fault(kind=FaultKind.REFUSE, status=403), PermissionRefusedError),
        (Fault(kind=FaultKind.REFUSE, status=200, body=b"null"), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=200, body=b"{}"), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=200, body=b""), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=204, body=b""), UnexpectedResponseError),
        (Fault(kind=FaultKind.HTML, status=403), EdgeBlockedError),
        (Fault(kind=FaultKind.HTML), ProviderError),
        (Fault(kind=FaultKind.THROTTLE, retry_after=7), RateLimitedError),
        (Fault(kind=FaultKind.FAIL_BEFORE), ProviderError),
        (Fault(kind=FaultKind.FAIL_AFTER), ProviderError),
        (Fault(kind=FaultKind.DROP_BEFORE), ProviderError),
        (Fault(kind=FaultKind.DROP_AFTER), ProviderError),
        (Fault(kind=FaultKind.HALF), ProviderError),
        (Fault(kind=FaultKind.GARBAGE), UnexpectedResponseError),
        (Fault(kind=FaultKind.REDIRECT), UnexpectedResponseError),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else value.__name__,
)
async def test_a_failed_look_up_is_an_error(
    desk: Desk, mode: FilterMode, fault: Fault, error: type[ConnectorError]
) -> None:
    desk.nomod.filter_mode = mode
    crowd(desk, 3)
    connector = desk.connector()
    await connector.find_customers(customer())
    desk.nomod.faults.add(replace(fault, times=10))  # the HTTP client and the connector try a read again
    with pytest.raises(error):
        await connector.find_customers(customer())
    desk.nomod.faults.clear()
    assert await connector.find_customers(customer()) == []


@pytest.mark.parametrize("kind", [FaultKind.HANG_BEFORE, FaultKind.DRIP])
async def test_a_look_up_that_takes_too_long_is_an_error(desk: Desk, kind: FaultKind) -> None:
    desk.nomod.faults.add(Fault(kind=kind, times=2))
    with pytest.raises(ProviderError, match="deadline"):
        await desk.connector(timeout_seconds=1).find_customers(customer())


async def test_nobody_listening_is_an_error(desk: Desk) -> None:
    await desk.nomod.stop()
    with pytest.raises(UnreachableError):
        await desk.connector().find_customers(customer())


async def test_a_read_that_fails_in_passing_is_tried_again(desk: Desk) -> None:
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    connector = desk.connector(lookup="scan")
    for kind in (FaultKind.FAIL_BEFORE, FaultKind.DROP_BEFORE, FaultKind.HALF):
        desk.nomod.faults.add(Fault(kind=kind))
        assert ids(await connector.find_customers(customer())) == {wanted}


@pytest.mark.parametrize("lookup", ["filter", "search", "scan"])
@pytest.mark.parametrize(
    "envelope",
    [
        {"count": "1"}, {"count": -1}, {"count": True}, {"results": None}, {"results": {}},
        {"results": [None]}, {"results": [{}]}, {"results": [{"id": None, "email": "mona@example.com"}]},
        {"results": [{"id": True}]}, {"results": [{"id": ""}]}, {"results": [{"id": "a b"}]}, {"count": 2},
        {"count": 150}, {"results": []},
    ],
)  # fmt: skip
async def test_a_list_that_cannot_be_read_whole_is_an_error(
    desk: Desk, lookup: str, envelope: dict[str, object]
) -> None:
    desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.envelope = envelope
    with pytest.raises(UnexpectedResponseError):
        await desk.connector(lookup=lookup).find_customers(customer())


@pytest.mark.parametrize("lookup", ["filter", "search", "scan"])
async def test_a_list_that_does_not_count_itself_is_read_until_nothing_new_comes(desk: Desk, lookup: str) -> None:
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    crowd(desk, 120)
    desk.nomod.envelope = {"count": None}
    desk.nomod.newest_first = True
    assert ids(await desk.connector(lookup=lookup).find_customers(customer())) == {wanted}
    desk.nomod.envelope = {"count": None, "next": "http://127.0.0.1:9/v1/customers?page=2", "results": []}
    assert await desk.connector(lookup=lookup).find_customers(customer()) == []


@pytest.mark.parametrize(
    "body",
    [
        b'[{"id":7,"email":"mona@example.com"}]',
        b'{"data":[{"id":7,"email":"Mona@example.com"}]}',
        b'{"data":[{"id":"7","email":"mona@example.com"}],"count":1}',
    ],
)
async def test_rows_are_read_wherever_a_list_has_them_and_whatever_ids_look_like(desk: Desk, body: bytes) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, status=200, body=body, times=10))
    (found,) = await desk.connector(lookup="scan").find_customers(customer())
    assert (found.provider_entity_id, [mail.lower() for mail in found.emails]) == ("7", ["mona@example.com"])


async def test_a_count_that_is_too_low_does_not_end_the_list_where_more_is_announced(desk: Desk) -> None:
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    crowd(desk, 120)
    desk.nomod.envelope = {"count": 100, "next": "http://127.0.0.1:9/v1/customers?page=2"}
    assert ids(await desk.connector(lookup="scan").find_customers(customer())) == {wanted}


async def test_links_to_the_next_page_are_never_followed(desk: Desk) -> None:
    crowd(desk, 120)
    desk.nomod.envelope = {"next": "http://127.0.0.1:9/v1/customers?page=2"}
    assert await desk.connector(lookup="scan").find_customers(customer()) == []
    assert [query["page"] for query in desk.queries()] == ["1", "2", "3"]


async def test_a_list_that_changes_while_it_is_read_is_begun_again(desk: Desk) -> None:
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    gone = [desk.nomod.seed(first_name=f"Gone {index}") for index in range(2)]
    crowd(desk, 97)
    desk.nomod.newest_first = False

    async def shift(call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE and call.query.get("page") == "2" and gone:
            desk.nomod.remove(gone.pop())

    desk.nomod.hook = shift
    assert ids(await desk.connector(lookup="scan").find_customers(customer())) == {wanted}
    assert gone == []


async def test_a_list_that_never_stops_changing_is_an_error(desk: Desk) -> None:
    rows = [desk.nomod.seed(first_name=f"Guest {index}") for index in range(300)]

    async def shift(call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE and call.query.get("page") == "2":
            desk.nomod.remove(rows.pop())

    desk.nomod.hook = shift
    with pytest.raises(UnexpectedResponseError, match="whole"):
        await desk.connector(lookup="scan").find_customers(customer())


async def test_more_customers_than_can_be_read_are_for_a_person_to_decide(desk: Desk) -> None:
    desk.nomod.envelope = {"count": 20_001}
    desk.nomod.seed(first_name="Mona", email="mona@example.com")
    connector = desk.connector(lookup="scan")
    with pytest.raises(LookupImpossibleError, match="20001 customers"):
        await connector.find_customers(customer())
    assert len(desk.queries()) == 1
    assert any("no look-up is possible" in warning for warning in (await connector.check()).warnings)


@pytest.mark.parametrize("mode", ["email", "search"])
async def test_a_narrowed_list_that_is_too_long_is_not_relied_on_until_tomorrow(desk: Desk, mode: FilterMode) -> None:
    desk.nomod.filter_mode = mode
    wanted = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    connector = desk.connector()
    await connector.find_customers(customer())

    async def swell(call: Call, moment: Moment) -> None:
        desk.nomod.envelope = {"count": 20_001} if {"email", "search"} & call.query.keys() else None

    desk.nomod.hook = swell
    assert ids(await connector.find_customers(customer())) == {wanted}
    assert connector.settings_summary()["lookup"].startswith("scan")


@pytest.mark.slow
async def test_pages_that_are_too_small_to_read_through_are_for_a_person_to_decide(desk: Desk) -> None:
    desk.nomod.max_page_size = 1
    for number in range(1_001):
        desk.nomod.seed(first_name=f"Guest {number}")
    with pytest.raises(LookupImpossibleError, match="1001 customers"):
        await desk.connector(lookup="scan").find_customers(customer())
    assert len(desk.queries()) == 1_000


# By id


async def test_a_customer_is_read_by_id(desk: Desk) -> None:
    one = desk.nomod.seed(first_name="Mona", last_name="Salem", email="Mona@example.com", phone_number="+971501234567")
    found = await desk.connector().get_customer(one.upper())
    assert found is not None
    assert (found.provider_entity_id, found.name, found.emails) == (one, "Mona Salem", ("Mona@example.com",))
    assert found.phone == "+971501234567"
    assert found.created_at == desk.clock.now() - timedelta(days=1)


async def test_an_id_that_nomod_does_not_know_is_nobodys(desk: Desk) -> None:
    assert await desk.connector().get_customer("6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11") is None


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../links", "6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11/x", "{6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11}",
     "6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11\n", "a b", "id?x=1", "x" * 129],
)  # fmt: skip
async def test_text_that_can_be_nobodys_id_is_not_asked_for(desk: Desk, text: str) -> None:
    assert await desk.connector().get_customer(text) is None
    assert desk.nomod.calls == []


@pytest.mark.parametrize(
    "fault, error",
    [
        (Fault(kind=FaultKind.HTML, status=404), EdgeBlockedError),
        (Fault(kind=FaultKind.REFUSE, status=400), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=401), AuthenticationError),
        (Fault(kind=FaultKind.FAIL_BEFORE, times=2), ProviderError),
        (Fault(kind=FaultKind.GARBAGE), UnexpectedResponseError),
        (Fault(kind=FaultKind.REFUSE, status=200, body=b'{"id":"6f1e7f0a-0000-4b0e-9f0b-6d0c0f6b7a11"}'),
         UnexpectedResponseError),
    ],
)  # fmt: skip
async def test_a_failed_read_by_id_is_an_error(desk: Desk, fault: Fault, error: type[ConnectorError]) -> None:
    one = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.faults.add(fault)
    with pytest.raises(error):
        await desk.connector().get_customer(one)


@pytest.mark.parametrize("body", [b'{"detail":"Not found."}', b'{"error":{"message":"None","code":"not_found"}}'])
async def test_the_apis_own_not_found_is_believed_in_both_shapes(desk: Desk, body: bytes) -> None:
    one = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, status=404, body=body))
    assert await desk.connector().get_customer(one) is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.REFUSE, route=GET, status=404),
        Fault(kind=FaultKind.REFUSE, route=GET, status=404, body=b"404: Not Found", content_type="text/plain"),
        Fault(kind=FaultKind.REFUSE, route=GET, status=405, body=b"", content_type="text/plain"),
    ],
)
async def test_a_refusal_that_does_not_say_why_is_settled_by_the_whole_list(desk: Desk, fault: Fault) -> None:
    one = desk.nomod.seed(first_name="Mona", email="mona@example.com")
    crowd(desk, 120)
    desk.nomod.faults.add(replace(fault, times=2))
    connector = desk.connector()
    found = await connector.get_customer(one.upper())
    assert found is not None
    assert found.provider_entity_id == one
    assert await connector.get_customer("6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11") is None
    desk.nomod.faults.add(fault)
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=LIST, status=404))
    with pytest.raises(UnexpectedResponseError):
        await connector.get_customer(one)


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_id_of_another_form_may_be_refused_for_that(desk: Desk, status: int) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=GET, status=status, body=b"<html>"))
    assert await desk.connector().get_customer("cust_nomod123abc") is None
