"""The QuickBooks company behind a connection: its currencies and name, and the settings that a connection has."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import MatchOn, RejectedError, UnreachableError
from connectors.quickbooks.names import names_of
from tests.integration.quickbooks_setup import CREATE, QUERY, Desk, customer, opened_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    "company, setting, sent",
    [(True, "auto", True), (False, "auto", False), (True, "off", False), (True, "on", True)],
)
async def test_a_currency_is_sent_where_the_company_has_several(
    desk: Desk, company: bool, setting: str, sent: bool
) -> None:
    desk.intuit.quirks.multicurrency = company
    connector = desk.connector(multicurrency=setting)
    euro = customer(currency="EUR")
    await connector.find_customers(euro)
    assert connector.match_policy().compare_currency is sent
    made = await connector.create_customer(euro, intent=desk.intent())
    assert desk.intuit.customers[made.provider_entity_id]["CurrencyRef"]["value"] == ("EUR" if sent else "USD")
    (found,) = await connector.find_customers(euro)
    assert found.currency == ("EUR" if sent else "USD")


async def test_preferences_are_asked_for_once_and_then_daily(desk: Desk) -> None:
    euro = customer(currency="EUR")
    for _ in range(3):
        await desk.connector().find_customers(euro)
    connector = desk.connector()
    await connector.maintain()
    assert sum("Preferences" in statement for statement in desk.statements()) == 1
    desk.clock.advance(days=1)
    desk.intuit.quirks.multicurrency = True
    await connector.maintain()
    await connector.maintain()
    assert sum("Preferences" in statement for statement in desk.statements()) == 2
    assert connector.match_policy().compare_currency


async def test_preferences_that_fail_while_creating_leave_nothing_in_doubt(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.html_unavailable(route=QUERY, times=2))
    with pytest.raises(UnreachableError) as failure:
        await desk.connector().create_customer(customer(currency="EUR"), intent=desk.intent())
    assert not failure.value.may_have_written
    assert desk.names() == []


async def test_an_unknown_currency_is_refused_for_good(desk: Desk) -> None:
    desk.intuit.quirks.multicurrency = True
    with pytest.raises(RejectedError):
        await desk.connector().create_customer(customer(currency="XQQ"), intent=desk.intent())


async def test_check_reads_the_company_and_writes_nothing(desk: Desk) -> None:
    desk.intuit.quirks.country, desk.intuit.quirks.home_currency = "GB", "GBP"
    account = await desk.connector().check()
    assert (account.account_id, account.name, account.warnings) == (
        desk.intuit.realm_id, "Sandbox Company_US_1", (),
    )  # fmt: skip
    assert account.details == {
        "realm_id": desk.intuit.realm_id, "environment": "sandbox", "country": "GB", "home_currency": "GBP",
        "multicurrency": "off", "custom_numbers": "off",
    }  # fmt: skip
    assert desk.intuit.calls_of(CREATE) == []


async def test_a_consent_that_ends_soon_is_told(desk: Desk) -> None:
    desk.intuit.quirks.refresh_token_hard_life = 20 * 86400
    account = await desk.connector().check()
    assert account.warnings == ("the consent ends for good on 2026-02-09: connect again before",)


async def test_settings_reach_the_gateway(desk: Desk) -> None:
    connector = desk.connector(
        match="email", adopt_on_name="if_no_conflict", inactive="new", recovery_lookups=[1, 2], replay_seconds=0
    )
    policy = connector.match_policy()
    assert (policy.match, policy.adopt_on_name, policy.inactive) == (MatchOn.EMAIL, "if_no_conflict", "new")
    assert connector.recovery().replay_window is None
    assert connector.recovery().lookups == (1.0, 2.0)
    assert desk.connector().recovery().replay_window == timedelta(minutes=10)
    assert connector.limits().per_second <= 10
    assert (connector.limits().per_minute or 0) <= 500
    assert connector.idempotency_scope() == desk.intuit.realm_id
    assert connector.console_url("67") == "https://app.sandbox.qbo.intuit.com/app/customerdetail?nameId=67"
    shown = connector.settings_summary()
    assert shown["match"] == "email"
    assert desk.first_token not in str(shown)


@pytest.mark.parametrize(
    "wrong",
    [
        {"environment": "staging"}, {"realm_id": "12x"}, {"base_url": "ftp://x"}, {"token_url": "https://u:p@x"},
        {"revoke_url": "https://x/?a=b"}, {"authorize_url": "nonsense"}, {"recovery_lookups": [5, 5]},
        {"recovery_lookups": []}, {"recovery_lookups": [0]}, {"match": "never"}, {"client_id": ""}, {"clientid": "x"},
        {"timeout_seconds": 0}, {"replay_seconds": -1},
    ],
)  # fmt: skip
async def test_wrong_settings_are_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        desk.connector(**wrong)


def test_a_customer_without_anything_is_refused_before_any_request() -> None:
    with pytest.raises(RejectedError):
        names_of(customer(given_name="", family_name="", email=""))
