"""Connecting a QuickBooks company: consent, headless set-up, reconnecting, disconnecting."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from connectors import (
    AuthenticationError,
    ConfigurationError,
    Consent,
    NeedsReauthError,
    PauseError,
    Tokens,
    UnreachableError,
)
from connectors.quickbooks import QuickBooksConnector
from connectors.testing.quickbooks_quirks import Consent as Answer
from tests.integration.quickbooks_setup import CREATE, TOKEN, Desk, customer, opened_desk

CALLBACK = "https://gateway.example.com/oauth/quickbooks/callback"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


async def answered(desk: Desk, connector: QuickBooksConnector, *, redirect_uri: str = CALLBACK) -> dict[str, str]:
    """The query with which Intuit sends the person back."""
    address = connector.authorize_url(state="s t&te", redirect_uri=redirect_uri)
    async with desk.session.get(URL(address, encoded=True), allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        target = URL(answer.headers["Location"])
    assert str(target.with_query(None)) == redirect_uri
    assert target.query["state"] == "s t&te"
    return dict(target.query)


async def consented(desk: Desk, connector: QuickBooksConnector) -> Consent:
    """A whole consent, its tokens stored as the gateway does it."""
    consent = await connector.exchange(params=await answered(desk, connector), redirect_uri=CALLBACK)
    await desk.store.connect(consent.tokens)
    return consent


async def test_a_consent_brings_tokens_the_company_and_its_name(desk: Desk) -> None:
    connector = desk.connector(connected=False)
    with pytest.raises(NeedsReauthError):
        await connector.check()
    consent = await connector.exchange(params=await answered(desk, connector), redirect_uri=CALLBACK)
    assert (consent.account_id, consent.account_name) == (desk.intuit.realm_id, "Sandbox Company_US_1")
    assert consent.tokens.realm == desk.intuit.realm_id
    assert consent.tokens.hard_expires_at is not None
    assert (consent.tokens.hard_expires_at - desk.clock.now()).days == 5 * 365
    assert await desk.store.load() is None
    await desk.store.connect(consent.tokens)
    assert (await connector.check()).name == "Sandbox Company_US_1"
    assert connector.idempotency_scope() == desk.intuit.realm_id
    assert len(desk.intuit.calls_of(TOKEN)) == 1


async def test_a_refused_consent_is_told_as_such(desk: Desk) -> None:
    desk.intuit.quirks.consent = Answer.DENY
    connector = desk.connector(connected=False)
    with pytest.raises(AuthenticationError, match="did not agree"):
        await connector.exchange(params=await answered(desk, connector), redirect_uri=CALLBACK)
    assert desk.intuit.calls_of(TOKEN) == []


@pytest.mark.parametrize(
    "params",
    [{}, {"code": "x"}, {"realmId": "1"}, {"code": "x", "realmId": "1/../2"}, {"error": "invalid_scope", "code": "x"}],
)
async def test_a_callback_that_is_not_whole_asks_intuit_nothing(desk: Desk, params: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        await desk.connector(connected=False).exchange(params=params, redirect_uri=CALLBACK)
    assert desk.intuit.calls == []


async def test_a_code_works_once_and_only_with_its_own_redirect_address(desk: Desk) -> None:
    connector = desk.connector(connected=False)
    params = await answered(desk, connector)
    with pytest.raises(AuthenticationError, match="start again"):
        await connector.exchange(params=params, redirect_uri=f"{CALLBACK}/")
    await connector.exchange(params=params, redirect_uri=CALLBACK)
    with pytest.raises(AuthenticationError, match="start again"):
        await connector.exchange(params=params, redirect_uri=CALLBACK)


async def test_wrong_keys_are_a_wrong_setting(desk: Desk) -> None:
    params = await answered(desk, desk.connector(connected=False))
    with pytest.raises(ConfigurationError, match="client_id"):
        await desk.connector(connected=False, client_secret="other").exchange(params=params, redirect_uri=CALLBACK)


async def test_tokens_of_another_environment_are_noticed_before_they_are_kept(desk: Desk) -> None:
    connector = desk.connector(connected=False)
    params = await answered(desk, connector)
    with pytest.raises(PauseError):
        await connector.exchange(params=params | {"realmId": "123"}, redirect_uri=CALLBACK)


async def test_another_company_is_reported_for_the_gateway_to_refuse(desk: Desk) -> None:
    await consented(desk, desk.connector(connected=False))
    desk.intuit.add_company("777", "Other Company")
    desk.intuit.oauth.consent_realm = "777"
    connector = desk.connector(connected=False)
    consent = await connector.exchange(params=await answered(desk, connector), redirect_uri=CALLBACK)
    assert (consent.account_id, consent.account_name) == ("777", "Other Company")
    stored = await desk.store.load()
    assert stored is not None
    assert stored.realm == desk.intuit.realm_id


async def test_a_person_may_connect_again_after_the_consent_has_ended(desk: Desk) -> None:
    connector = desk.connector(connected=False)
    await consented(desk, connector)
    desk.intuit.oauth.disconnect()
    with pytest.raises(NeedsReauthError) as failure:
        await connector.find_customers(customer())
    assert failure.value.provider_code == "invalid_grant"
    assert failure.value.provider_request_id in desk.intuit.tids
    await consented(desk, connector)
    assert await connector.find_customers(customer()) == []


async def test_headless_set_up_needs_a_company_and_a_refresh_token(desk: Desk) -> None:
    assert (await desk.connector().check()).account_id == desk.intuit.realm_id
    stored = await desk.store.load()
    assert stored is not None
    assert (stored.realm, stored.version) == (desk.intuit.realm_id, 1)
    assert stored.refresh_token != desk.first_token
    assert stored.hard_expires_at is not None


async def test_a_refresh_token_without_a_company_is_a_wrong_setting(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="realm_id"):
        await desk.connector(realm_id="").check()
    assert desk.intuit.calls == []


async def test_tokens_of_another_company_than_configured_are_not_used(desk: Desk) -> None:
    await consented(desk, desk.connector(connected=False))
    asked = len(desk.intuit.calls)
    with pytest.raises(ConfigurationError, match="another company"):
        await desk.connector(connected=False, realm_id="777").check()
    assert len(desk.intuit.calls) == asked


async def test_the_configured_token_is_used_once_and_the_rotated_one_after_every_restart(desk: Desk) -> None:
    await desk.connector().check()
    for _ in range(3):
        desk.intuit.oauth.expire_access_tokens()
        desk.clock.advance(hours=2)
        await desk.connector().check()
    assert desk.intuit.oauth.chains[0].reused == 0
    assert desk.intuit.oauth.chains[0].refreshes == 4


async def test_a_first_refresh_that_could_not_be_saved_is_not_made_again(desk: Desk) -> None:
    desk.store.failures = 100
    connector = desk.connector()
    with pytest.raises(OSError, match="disk"):
        await connector.check()
    desk.store.failures = 0
    await connector.check()
    await desk.connector().check()
    assert desk.intuit.oauth.chains[0].reused == 0
    assert desk.intuit.oauth.chains[0].refreshes == 1


async def test_a_new_token_in_the_settings_replaces_the_stored_chain(desk: Desk) -> None:
    await desk.connector().check()
    _, other = desk.intuit.issue_tokens()
    await desk.connector(refresh_token=other).check()
    stored = await desk.store.load()
    assert stored is not None
    assert stored.refresh_token == desk.intuit.oauth.chains[1].refresh_token
    assert desk.intuit.oauth.chains[1].refreshes == 1


async def test_a_dead_token_in_the_settings_does_not_cost_the_chain_that_works(desk: Desk) -> None:
    await desk.connector().check()
    for _ in range(2):
        desk.clock.advance(hours=2)
        await desk.connector(refresh_token="RT-dead").check()
    assert desk.intuit.oauth.refused == ["invalid_grant"]


async def test_a_consent_in_the_browser_outlives_the_token_in_the_settings(desk: Desk) -> None:
    connector = desk.connector()
    await consented(desk, connector)
    desk.clock.advance(hours=2)
    await desk.connector().check()
    first, consent = desk.intuit.oauth.chains
    assert (first.refreshes, consent.refreshes) == (0, 1)


async def test_disconnecting_revokes_at_intuit_and_may_be_repeated(desk: Desk) -> None:
    connector = desk.connector()
    await connector.check()
    await connector.revoke()
    assert desk.intuit.oauth.chains[0].revoked
    await connector.revoke()
    await desk.store.disconnect()
    await connector.revoke()
    with pytest.raises(NeedsReauthError):
        await connector.find_customers(customer())
    assert desk.intuit.calls_of(CREATE) == []


async def test_a_disconnect_that_does_not_reach_intuit_is_an_error(desk: Desk) -> None:
    connector = desk.connector()
    await connector.check()
    desk.intuit.faults.add(desk.intuit.faults.html_unavailable(route="POST /v2/oauth2/tokens/revoke"))
    with pytest.raises(UnreachableError):
        await connector.revoke()
    assert await desk.store.load() is not None


def test_tokens_show_nothing() -> None:
    shown = repr(Tokens(refresh_token="RT-secret", access_token="AT-secret", realm="1"))
    assert "secret" not in shown
