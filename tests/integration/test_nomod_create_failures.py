"""Creating customers in Nomod: what every refusal and every lost answer is told apart as."""

from collections.abc import AsyncIterator

import pytest

from connectors import (
    AccountBlockedError,
    AuthenticationError,
    ConnectorError,
    DuplicateRefusedError,
    EdgeBlockedError,
    InvalidEmailError,
    MissingFieldsError,
    PermissionRefusedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnexpectedResponseError,
    UnreachableError,
)
from connectors.http import EXCHANGES, Exchange
from connectors.testing.nomod import API_KEY
from connectors.testing.simulator import DOES_THE_WORK, Fault, FaultKind
from tests.integration.nomod_setup import POST, Desk, customer, error_body, ids, opened_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened_desk() as opened:
        yield opened


# Refusals


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_an_address_that_is_taken_is_told_as_such(desk: Desk, status: int) -> None:
    desk.nomod.duplicates, desk.nomod.duplicate_status = "refuse", status
    desk.nomod.seed(first_name="Mona", email="MONA@example.com")
    with pytest.raises(DuplicateRefusedError) as refused:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert refused.value.code == "email_already_exists"
    assert refused.value.provider_code == "customer_already_exists"
    assert not refused.value.may_have_written
    assert desk.nomod.creations == []


async def test_the_holder_is_taken_from_a_refusal_that_names_it(desk: Desk) -> None:
    one = "6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11"
    for more in ({"customer_id": one}, {"customer": {"id": one}}, {"customer": one}, {"id": "x"}):
        body = error_body("customer_already_exists", **more)
        desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, body=body))
        with pytest.raises(DuplicateRefusedError) as refused:
            await desk.connector().create_customer(customer(), intent=desk.intent())
        assert refused.value.provider_entity_id == (None if more == {"id": "x"} else one)


@pytest.mark.parametrize(
    "status, body, error, code",
    [
        (400, error_body("invalid_email"), InvalidEmailError, "invalid_email"),
        (422, error_body("invalid_email"), InvalidEmailError, "invalid_email"),
        (400, error_body("field_required", "last_name: This field is required."), MissingFieldsError, "field_required"),
        (400, error_body("invalid"), RejectedError, "invalid"),
        (400, b"{}", RejectedError, None),
        (400, b"", RejectedError, None),
        (400, b'["No."]', RejectedError, None),
        (404, error_body("not_found"), RejectedError, "not_found"),
        (405, error_body("method_not_allowed"), RejectedError, "method_not_allowed"),
        (413, b"", RejectedError, None),
        (422, b'{"error":"invalid"}', RejectedError, "invalid"),
        (409, b"", DuplicateRefusedError, None),
        (409, error_body("conflict"), DuplicateRefusedError, "conflict"),
        (401, error_body("not_authenticated"), AuthenticationError, "not_authenticated"),
        (401, b"", AuthenticationError, None),
        (403, error_body("permission_denied"), PermissionRefusedError, "permission_denied"),
        (403, error_body("not_authenticated"), AuthenticationError, "not_authenticated"),
        (400, error_body("business_not_enabled"), AccountBlockedError, "business_not_enabled"),
        (403, error_body("invalid_business_id"), AccountBlockedError, "invalid_business_id"),
        (403, b"<html>error code: 1020</html>", EdgeBlockedError, None),
        (400, b"<html>", EdgeBlockedError, None),
        (409, b"<!DOCTYPE html>", EdgeBlockedError, None),
        (429, error_body("throttled"), RateLimitedError, "throttled"),
        (429, b"<html>error code: 1015</html>", RateLimitedError, None),
        (400, error_body("throttled"), RateLimitedError, "throttled"),
    ],
)
async def test_a_refusal_is_sorted_and_nothing_was_written(
    desk: Desk, status: int, body: bytes, error: type[ConnectorError], code: str | None
) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=status, body=body, content_type=kind))
    with pytest.raises(ConnectorError) as refused:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert type(refused.value) is error
    assert refused.value.provider_code == code
    assert not refused.value.may_have_written
    assert len(desk.sent()) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 522, 524, 530])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", error_body("customer_already_exists"), error_body("not_authenticated")]
)
async def test_a_failing_server_may_have_written_whatever_it_says(desk: Desk, status: int, body: bytes) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=status, body=body))
    with pytest.raises(ProviderError) as failed:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert failed.value.may_have_written
    assert len(desk.sent()) == 1


@pytest.mark.parametrize("status", [200, 201, 204])
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"id":null}', b'{"id":true}', b'{"id":""}', b'{"id":"a b"}', b"{"]
)
async def test_an_answer_without_a_readable_id_may_have_written(desk: Desk, status: int, body: bytes) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=status, body=body))
    with pytest.raises(UnexpectedResponseError) as failed:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert failed.value.may_have_written
    assert len(desk.sent()) == 1


@pytest.mark.parametrize("body", [b'{"id":7}', b'{"id":"7"}', b'{"data":{"id":"7"}}', b'{"customer":{"id":7}}'])
async def test_the_id_is_read_wherever_an_answer_has_it(desk: Desk, body: bytes) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, status=201, body=body))
    assert (await desk.connector().create_customer(customer(), intent=desk.intent())).provider_entity_id == "7"


async def test_the_fields_and_the_words_of_a_refusal_are_told_without_personal_data(desk: Desk) -> None:
    words = (
        'Customer Mona with mona@example.com, "Mona S." and +971 50 123 4567 or Salem: last_name must be set. '
        + "Ensure this field has no more than 10 characters. " * 20
    )
    body = error_body("invalid", words, errors={"last_name": ["x"], "phone_number": ["y"], "unknown": ["z"]})
    desk.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=POST, body=body))
    with pytest.raises(RejectedError) as refused:
        await desk.connector().create_customer(customer(phone="+971501234567"), intent=desk.intent())
    detail = refused.value.detail
    assert detail.startswith("HTTP 400 invalid (last_name, phone_number): Customer … with …")
    assert "Ensure this field has no more than 10 characters." in detail
    assert len(detail) < 300
    for personal in ("Mona", "mona", "Salem", "971", "4567", "cust_1"):
        assert personal not in detail


# Lost and spoilt answers


@pytest.mark.parametrize(
    "kind, error",
    [
        (FaultKind.REFUSE, RejectedError),
        (FaultKind.THROTTLE, RateLimitedError),
        (FaultKind.FAIL_BEFORE, ProviderError),
        (FaultKind.FAIL_AFTER, ProviderError),
        (FaultKind.DROP_BEFORE, ProviderError),
        (FaultKind.DROP_AFTER, ProviderError),
        (FaultKind.HANG_BEFORE, ProviderError),
        (FaultKind.HANG_AFTER, ProviderError),
        (FaultKind.GARBAGE, UnexpectedResponseError),
        (FaultKind.HTML, ProviderError),
        (FaultKind.DRIP, ProviderError),
        (FaultKind.HALF, ProviderError),
        (FaultKind.REDIRECT, UnexpectedResponseError),
    ],
)
@pytest.mark.parametrize("fresh", [True, False], ids=["new connection", "kept connection"])
async def test_every_fault_is_sorted_and_what_may_be_written_is_never_denied(
    desk: Desk, kind: FaultKind, error: type[ConnectorError], fresh: bool
) -> None:
    connector = desk.connector(timeout_seconds=1)
    if not fresh:
        await connector.check()
    desk.nomod.faults.add(Fault(kind=kind, route=POST))
    with pytest.raises(ConnectorError) as failed:
        await connector.create_customer(customer(), intent=desk.intent())
    assert type(failed.value) is error
    (call,) = desk.nomod.calls_of(POST)
    assert call.worked is (kind in DOES_THE_WORK)
    assert len(desk.nomod.creations) == int(call.worked)
    certain = kind in {FaultKind.REFUSE, FaultKind.THROTTLE}  # the rest looks alike from here, done or not
    assert failed.value.may_have_written is not certain
    assert failed.value.may_have_written or not call.worked


async def test_nobody_listening_means_nothing_was_sent(desk: Desk) -> None:
    await desk.nomod.stop()
    with pytest.raises(UnreachableError) as failed:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert not failed.value.may_have_written


async def test_throttling_holds_the_whole_connection_for_as_long_as_nomod_asks(desk: Desk) -> None:
    desk.nomod.faults.add(Fault(kind=FaultKind.THROTTLE, route=POST, retry_after=7))
    with pytest.raises(RateLimitedError) as refused:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert refused.value.retry_after == 7
    assert desk.limiter.held == [7]
    assert desk.limiter.entered == 1


async def test_a_client_that_names_itself_like_a_script_is_blocked_at_the_edge(desk: Desk) -> None:
    with pytest.raises(EdgeBlockedError):
        await desk.connector(user_agent="Python/3.13 aiohttp/3").create_customer(customer(), intent=desk.intent())


async def test_a_lost_answer_is_found_again_once_the_list_shows_it(desk: Desk) -> None:
    desk.nomod.search_lag = 30
    connector, intent = desk.connector(), desk.intent()
    desk.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=POST))
    with pytest.raises(ProviderError):
        await connector.create_customer(customer(), intent=intent)
    seen: list[set[str]] = []
    for seconds in connector.recovery().lookups:
        desk.clock.time = intent.started_at
        desk.clock.advance(seconds)
        seen.append(ids(await connector.find_customers(customer(), intent=intent)))
    (made,) = desk.nomod.customers
    assert seen == [set(), set(), {made}, {made}, {made}]
    assert len(desk.sent()) == 1


async def test_neither_secrets_nor_personal_data_are_kept_with_the_attempt(desk: Desk) -> None:
    exchanges: list[Exchange] = []
    token = EXCHANGES.set(exchanges)
    try:
        connector = desk.connector()
        await connector.create_customer(customer(), intent=desk.intent())
        await connector.find_customers(customer())
    finally:
        EXCHANGES.reset(token)
    assert [(one.method, one.status) for one in exchanges][:2] == [("POST", 201), ("GET", 200)]
    kept = f"{exchanges} {connector.config!r} {connector.settings_summary()}"
    assert "mona" not in kept
    assert API_KEY not in kept
    assert API_KEY.partition(".")[2] not in kept
