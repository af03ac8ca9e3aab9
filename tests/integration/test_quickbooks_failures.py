"""What goes wrong at QuickBooks, what becomes of it, and that nothing which may be written is taken for unwritten."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors import (
    AccountBlockedError,
    ConnectorError,
    DuplicateRefusedError,
    EdgeBlockedError,
    NeedsReauthError,
    PermissionRefusedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnexpectedResponseError,
    UnreachableError,
)
from connectors.http import EXCHANGES, Exchange
from connectors.testing.quickbooks_faults import QuickBooksFaults
from connectors.testing.simulator import Fault, FaultKind
from tests.integration.quickbooks_setup import CREATE, QUERY, TOKEN, Desk, customer, opened_desk

Make = Callable[[QuickBooksFaults], Fault]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


def plain(kind: FaultKind, status: int | None = None) -> Make:
    return lambda _: Fault(kind=kind, route=CREATE, status=status, seconds=0.2)


# Each fault of a create: the class it becomes, and whether the caller can know that nothing was written.
CREATES: dict[str, tuple[Make, type[ConnectorError], bool]] = {
    "refused": (plain(FaultKind.REFUSE), RejectedError, True),
    "throttled in XML": (lambda f: f.xml_throttle(route=CREATE), RateLimitedError, True),
    "throttled in JSON": (lambda f: f.json_throttle(route=CREATE), RateLimitedError, True),
    "throttled as of old": (lambda f: f.old_throttle(route=CREATE), RateLimitedError, True),
    "failed before": (plain(FaultKind.FAIL_BEFORE), ProviderError, False),
    "failed after": (plain(FaultKind.FAIL_AFTER), ProviderError, False),
    "gateway timeout after": (plain(FaultKind.FAIL_AFTER, 504), ProviderError, False),
    "lost request": (lambda f: f.lost_request(route=CREATE), ProviderError, False),
    "lost answer": (lambda f: f.lost_answer(route=CREATE), ProviderError, False),
    "hang before": (plain(FaultKind.HANG_BEFORE), ProviderError, False),
    "hang after": (plain(FaultKind.HANG_AFTER), ProviderError, False),
    "garbage": (plain(FaultKind.GARBAGE), UnexpectedResponseError, False),
    "half an answer": (plain(FaultKind.HALF), ProviderError, False),
    "redirect": (plain(FaultKind.REDIRECT), UnexpectedResponseError, False),
    "HTML 503": (lambda f: f.html_unavailable(route=CREATE), ProviderError, False),
    "HTML 403": (plain(FaultKind.HTML, 403), EdgeBlockedError, True),
    "system failure before": (lambda f: f.system_failure(route=CREATE), ProviderError, False),
    "system failure after": (lambda f: f.system_failure(after=True, route=CREATE), ProviderError, False),
    "system failure as a 400": (lambda f: f.system_failure(after=True, status=400, route=CREATE), ProviderError, False),
    "fault in HTTP 200": (lambda f: f.fault_in_ok(route=CREATE), RejectedError, True),
    "maintenance": (lambda f: f.maintenance(route=CREATE), UnreachableError, True),
    "subscription lapsed": (lambda f: f.subscription_lapsed(route=CREATE), AccountBlockedError, True),
    "not authorised": (lambda f: f.not_authorized(route=CREATE), NeedsReauthError, True),
    "administrator removed": (lambda f: f.admin_removed(route=CREATE), NeedsReauthError, True),
    "token refused twice": (lambda f: f.token_expired(route=CREATE, times=2), NeedsReauthError, True),
    "token of another company": (lambda f: f.general_authentication(route=CREATE, times=2), NeedsReauthError, True),
    "no permission": (lambda f: f.service(5020, status=403, route=CREATE), PermissionRefusedError, True),
    "taken name": (lambda f: f.duplicate_name(route=CREATE), DuplicateRefusedError, True),
}


@pytest.mark.parametrize("name", CREATES)
async def test_a_failed_create_is_sorted_and_never_thought_unwritten_when_it_was_not(desk: Desk, name: str) -> None:
    make, kind, known = CREATES[name]
    connector = desk.connector()
    await connector.find_customers(customer())
    desk.intuit.faults.add(make(desk.intuit.faults))
    with pytest.raises(ConnectorError) as failure:
        await connector.create_customer(customer(), intent=desk.intent())
    assert type(failure.value) is kind
    call = desk.intuit.calls_of(CREATE)[-1]
    assert failure.value.may_have_written is not known
    assert failure.value.may_have_written or not call.worked
    assert bool(desk.names()) is call.worked
    if call.status is not None and call.status < 600 and "lost" not in name and "hang" not in name and name != "half":
        assert failure.value.provider_request_id in {None, *desk.intuit.tids}
    told = f"{failure.value} {failure.value!r}"
    assert "Ada" not in told
    assert "ada@" not in told


@pytest.mark.parametrize("name", [name for name, (_, _, known) in CREATES.items() if not known])
async def test_a_doubtful_create_sent_again_with_its_key_makes_one_record(desk: Desk, name: str) -> None:
    connector = desk.connector()
    desk.intuit.faults.add(CREATES[name][0](desk.intuit.faults))
    with pytest.raises(ProviderError):
        await connector.create_customer(customer(), intent=desk.intent())
    made = await connector.create_customer(customer(), intent=desk.intent())
    assert list(desk.intuit.customers) == [made.provider_entity_id]


async def test_a_slow_answer_within_the_deadline_is_an_answer(desk: Desk) -> None:
    desk.intuit.faults.add(Fault(kind=FaultKind.DRIP, route=CREATE, seconds=0.1))
    made = await desk.connector().create_customer(customer(), intent=desk.intent())
    assert made.provider_entity_id in desk.intuit.customers


async def test_a_create_that_hangs_is_given_up_in_doubt(desk: Desk) -> None:
    connector = desk.connector(timeout_seconds=0.3)
    await connector.find_customers(customer())
    desk.intuit.faults.add(desk.intuit.faults.hang(after=True, route=CREATE))
    with pytest.raises(ProviderError) as failure:
        await connector.create_customer(customer(), intent=desk.intent())
    assert failure.value.may_have_written
    assert desk.names() == ["Ada Lovelace"]


async def test_no_connection_means_nothing_was_sent(desk: Desk) -> None:
    with pytest.raises(UnreachableError) as failure:
        await desk.connector(base_url="http://127.0.0.1:9").create_customer(customer(), intent=desk.intent())
    assert not failure.value.may_have_written


LOOKUPS: dict[str, tuple[Make, type[ConnectorError]]] = {
    "throttled": (lambda f: f.xml_throttle(route=QUERY), RateLimitedError),
    "HTML 503": (lambda f: f.html_unavailable(route=QUERY, times=2), ProviderError),
    "lost answers": (lambda f: f.lost_answer(route=QUERY, times=9), ProviderError),
    "garbage": (lambda _: Fault(kind=FaultKind.GARBAGE, route=QUERY), UnexpectedResponseError),
    "redirect": (lambda _: Fault(kind=FaultKind.REDIRECT, route=QUERY), UnexpectedResponseError),
    "fault in HTTP 200": (lambda f: f.fault_in_ok(route=QUERY), RejectedError),
    "maintenance": (lambda f: f.maintenance(route=QUERY, times=2), UnreachableError),
    "not authorised": (lambda f: f.not_authorized(route=QUERY), NeedsReauthError),
    "no envelope": (
        lambda _: Fault(kind=FaultKind.REFUSE, route=QUERY, status=200, body=b'{"time":"x"}'), UnexpectedResponseError,
    ),
    "no list": (
        lambda _: Fault(kind=FaultKind.REFUSE, route=QUERY, status=200, body=b'{"QueryResponse":{"Customer":{}}}'),
        UnexpectedResponseError,
    ),
    "a row without an id": (
        lambda _: Fault(kind=FaultKind.REFUSE, route=QUERY, status=200, body=b'{"QueryResponse":{"Customer":[{}]}}'),
        UnexpectedResponseError,
    ),
    "not an object": (
        lambda _: Fault(kind=FaultKind.REFUSE, route=QUERY, status=200, body=b"[]"), UnexpectedResponseError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("name", LOOKUPS)
async def test_a_failed_look_up_is_never_an_empty_one(desk: Desk, name: str, which: int) -> None:
    make, kind = LOOKUPS[name]
    fault = make(desk.intuit.faults)
    fault.skip = which
    desk.intuit.faults.add(fault)
    with pytest.raises(ConnectorError) as failure:
        await desk.connector().find_customers(customer(), intent=desk.intent())
    assert type(failure.value) is kind


async def test_a_read_that_fails_once_in_passing_is_asked_again(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.html_unavailable(route=QUERY))
    assert await desk.connector().find_customers(customer()) == []


async def test_an_expired_token_is_renewed_and_the_same_request_sent_again(desk: Desk) -> None:
    connector = desk.connector()
    await connector.find_customers(customer())
    desk.intuit.oauth.expire_access_tokens()
    made = await connector.create_customer(customer(), intent=desk.intent())
    first, second = desk.intuit.calls_of(CREATE)
    assert (first.status, second.status) == (401, 200)
    assert (first.body, first.query) == (second.body, second.query)
    assert first.headers["Authorization"] != second.headers["Authorization"]
    assert list(desk.intuit.customers) == [made.provider_entity_id]


async def test_an_unauthorised_answer_in_xml_renews_the_token_too(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.xml_unauthorized(route=CREATE))
    await desk.connector().create_customer(customer(), intent=desk.intent())
    assert desk.intuit.oauth.chains[0].refreshes == 2


@pytest.mark.parametrize("said, held", [(None, 60.0), (7, 7.0)])
async def test_a_throttle_holds_the_whole_connection(desk: Desk, said: int | None, held: float) -> None:
    desk.intuit.faults.add(desk.intuit.faults.xml_throttle(route=QUERY, retry_after=said))
    with pytest.raises(RateLimitedError) as failure:
        await desk.connector().find_customers(customer())
    assert failure.value.retry_after == held
    assert desk.limiter.held == [held]


async def test_reads_refused_for_an_hour_are_a_used_up_month_not_a_burst(desk: Desk) -> None:
    desk.intuit.limits.month_blocked = True
    for minutes in (0, 1, 20, 38):
        desk.clock.advance(minutes=minutes)
        with pytest.raises(RateLimitedError):
            await desk.connector().find_customers(customer())
    # Creates are not metered, and their success says nothing of the reads.
    await desk.connector().create_customer(customer(), intent=desk.intent())
    desk.clock.advance(minutes=2)
    with pytest.raises(AccountBlockedError, match="month"):
        await desk.connector().find_customers(customer())
    with pytest.raises(RateLimitedError):
        await desk.connector().find_customers(customer())


async def test_two_bursts_with_a_good_hour_between_are_no_used_up_month(desk: Desk) -> None:
    connector = desk.connector()
    for _ in range(5):
        for _ in range(3):
            desk.intuit.faults.add(desk.intuit.faults.xml_throttle(route=QUERY))
            with pytest.raises(RateLimitedError):
                await connector.find_customers(customer())
            desk.clock.advance(minutes=1)
        await connector.find_customers(customer())
        desk.clock.advance(hours=1)


async def test_every_exchange_is_noted_with_intuits_id_and_without_the_query(desk: Desk) -> None:
    noted: list[Exchange] = []
    EXCHANGES.set(noted)
    connector = desk.connector()
    await connector.find_customers(customer())
    await connector.create_customer(customer(), intent=desk.intent())
    assert [(one.method, one.status) for one in noted] == [("POST", 200), ("GET", 200), ("GET", 200), ("POST", 200)]
    assert all(one.request_id in desk.intuit.tids for one in noted)
    told = str(noted).casefold()
    assert not [each for each in ("lovelace", "ada@", "example.com") if each in told]
    assert desk.first_token not in str(noted)


async def test_secrets_are_in_no_error_repr_or_summary(desk: Desk) -> None:
    connector = desk.connector()
    failures: list[ConnectorError] = []
    for fault in (
        desk.intuit.faults.service(6000, "ada@example.com said no", route=CREATE),
        desk.intuit.faults.gateway(3200, f"Token {desk.first_token}", route=CREATE, times=2),
    ):
        desk.intuit.faults.add(fault)
        with pytest.raises(ConnectorError) as failure:
            await connector.create_customer(customer(), intent=desk.intent())
        failures.append(failure.value)
    stored = await desk.store.load()
    assert stored is not None
    told = " ".join(
        [*(f"{one} {one!r} {one.detail}" for one in failures), repr(connector.config), repr(stored),
         str(connector.settings_summary()), repr(connector.host)]
    )  # fmt: skip
    secrets = [desk.intuit.client_secret, stored.refresh_token, stored.access_token, "ada@example.com"]
    assert [secret for secret in secrets if secret in told] == []


async def test_a_refused_address_of_the_token_endpoint_writes_nothing(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.token_server_down(times=2))
    with pytest.raises(UnreachableError) as failure:
        await desk.connector().create_customer(customer(), intent=desk.intent())
    assert not failure.value.may_have_written
    assert desk.intuit.calls_of(CREATE) == []
    assert len(desk.intuit.calls_of(TOKEN)) == 2
