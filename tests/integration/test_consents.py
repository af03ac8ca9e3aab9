"""Consents: a state of one use, bound to its connection, for ten minutes; and never another company underneath."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from connectors.errors import AuthenticationError, NeedsReauthError
from gateway import keys
from gateway.errors import AccountChangedError, ConsentInvalidError
from gateway.operations.connections import Connections
from storage.records import Link, MappingKey
from tests.configuring import ENVIRONMENT, TENANT
from tests.harness import QUICKBOOKS, SOURCE, Rig, open_rig

REDIRECT = "https://gateway.example.com/oauth/callback"
OTHER_REALM = "9130000000000000042"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A gateway with a QuickBooks connection that nobody has agreed to yet."""
    async with open_rig(tmp_path) as opened:
        await opened.add_flexprice()
        await add(opened)
        yield opened


async def add(rig: Rig, name: str = QUICKBOOKS, **config: Any) -> None:
    """Configure QuickBooks without tokens."""
    known = {
        "client_id": rig.intuit.client_id, "client_secret": rig.intuit.client_secret, "environment": "sandbox",
        "base_url": rig.intuit.base_url, "authorize_url": rig.intuit.authorize_url,
        "token_url": rig.intuit.token_url, "revoke_url": rig.intuit.revoke_url,
    }  # fmt: skip
    await rig._put_connection(name, "quickbooks", {**known, **config}, outbound=True, invoices=False)


def connections(rig: Rig) -> Connections:
    return rig.gateway.app[keys.OPERATIONS].connections


async def begin(rig: Rig, name: str = QUICKBOOKS) -> dict[str, str]:
    """Start a consent and agree to it; return what the provider sends the person back with."""
    return await agree(await connections(rig).authorize_start(name, redirect_uri=REDIRECT))


async def agree(url: str) -> dict[str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as page:
        assert page.status in (302, 303), await page.text()
        return dict(parse_qsl(urlsplit(page.headers["Location"]).query))


async def link(rig: Rig, entity_id: str = "cust_1") -> None:
    """Link a customer on the connection, so that its mappings belong to a company."""
    key = MappingKey(source=SOURCE, entity_type="customer", entity_id=entity_id, connection=QUICKBOOKS)
    made = Link(
        key=key, connector="quickbooks", tenant_id=TENANT, environment_id=ENVIRONMENT, provider_entity_id="58",
        origin="operator", why="for the test",
    )  # fmt: skip
    await rig.store.put_mapping(made, now=rig.now())


async def test_a_consent_connects_the_company_and_lets_a_waiting_connection_go_on(rig: Rig) -> None:
    now = rig.now()
    await rig.store.set_connection_status(QUICKBOOKS, status="paused", reason="needs_reauth", now=now)
    done = await connections(rig).authorize_finish(params=await begin(rig))
    assert (done["connection"], done["account_id"], done["resumed"]) == (QUICKBOOKS, rig.intuit.realm_id, True)
    row = await connections(rig).row(QUICKBOOKS)
    assert (row.status, row.account["account_id"]) == ("active", rig.intuit.realm_id)
    await rig.refresh()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()
    assert len(rig.intuit.customers) == 1


async def test_a_connection_that_a_person_has_paused_stays_so(rig: Rig) -> None:
    await connections(rig).pause(QUICKBOOKS, reason="maintenance", actor="test")
    done = await connections(rig).authorize_finish(params=await begin(rig))
    assert done["resumed"] is False
    assert (await connections(rig).row(QUICKBOOKS)).status == "paused"


async def test_a_state_is_long_of_one_use_and_stored_only_as_a_hash(rig: Rig, tmp_path: Path) -> None:
    params = await begin(rig)
    name, _, token = params["state"].partition("~")
    assert (name, len(token) >= 43) == (QUICKBOOKS, True)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("rig.db*") if path.is_file())
    assert token.encode() not in stored
    await connections(rig).authorize_finish(params=params)
    with pytest.raises(ConsentInvalidError):
        await connections(rig).authorize_finish(params=params)


async def test_of_two_answers_at_the_same_moment_one_counts(rig: Rig) -> None:
    params = await begin(rig)
    finishing = [connections(rig).authorize_finish(params=params) for _ in range(4)]
    outcomes = await asyncio.gather(*finishing, return_exceptions=True)
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ConsentInvalidError) for outcome in outcomes) == 3


async def test_a_state_is_good_for_ten_minutes_for_its_connection_and_until_a_newer_one(rig: Rig) -> None:
    params = await begin(rig)
    rig.clock.advance(601)
    with pytest.raises(ConsentInvalidError, match="ten minutes"):
        await connections(rig).authorize_finish(params=params)

    await add(rig, "qbo-other")
    params = await begin(rig)
    moved = {**params, "state": params["state"].replace(QUICKBOOKS, "qbo-other", 1)}
    with pytest.raises(ConsentInvalidError):
        await connections(rig).authorize_finish(params=moved)
    await connections(rig).authorize_finish(params=params)

    older, newer = await begin(rig), await begin(rig)
    with pytest.raises(ConsentInvalidError):
        await connections(rig).authorize_finish(params=older)
    await connections(rig).authorize_finish(params=newer)


@pytest.mark.parametrize("state", ["", "x", "~", "qbo-prod", "qbo-prod~", "~token", "nowhere~token", "x" * 5000 + "~y"])
async def test_a_state_that_is_none_of_ours_is_refused_before_anything_is_asked(rig: Rig, state: str) -> None:
    asked = len(rig.intuit.calls)
    with pytest.raises(ConsentInvalidError):
        await connections(rig).authorize_finish(params={"state": state, "code": "c", "realmId": "1"})
    assert len(rig.intuit.calls) == asked


async def test_another_company_is_refused_at_reconnect_and_the_old_tokens_stay(rig: Rig) -> None:
    await connections(rig).authorize_finish(params=await begin(rig))
    before = await rig.store.load_tokens(QUICKBOOKS)
    rig.intuit.add_company(OTHER_REALM, "Another Company")
    rig.intuit.oauth.consent_realm = OTHER_REALM
    url = await connections(rig).authorize_start(QUICKBOOKS, redirect_uri=REDIRECT)
    with pytest.raises(AccountChangedError, match=OTHER_REALM):
        await connections(rig).authorize_finish(params=await agree(url))
    assert await rig.store.load_tokens(QUICKBOOKS) == before
    assert (await connections(rig).row(QUICKBOOKS)).account["account_id"] == rig.intuit.realm_id
    outcome = await connections(rig).authorize_outcome(QUICKBOOKS, url=url)
    assert outcome is not None
    assert outcome["code"] == "account_changed"


async def test_another_company_than_the_settings_name_is_refused(rig: Rig) -> None:
    await add(rig, "qbo-fixed", realm_id=OTHER_REALM)
    with pytest.raises(AccountChangedError, match=rig.intuit.realm_id):
        await connections(rig).authorize_finish(params=await begin(rig, "qbo-fixed"))
    assert await rig.store.load_tokens("qbo-fixed") is None


async def test_a_removed_connections_mappings_are_not_given_to_another_company(rig: Rig) -> None:
    """Removing keeps mappings: the same name connected to another company would make all of them wrong."""
    await connections(rig).authorize_finish(params=await begin(rig))
    await link(rig)
    await connections(rig).remove(QUICKBOOKS, actor="test")
    await add(rig)
    rig.intuit.add_company(OTHER_REALM, "Another Company")
    rig.intuit.oauth.consent_realm = OTHER_REALM
    with pytest.raises(AccountChangedError):
        await connections(rig).authorize_finish(params=await begin(rig))
    rig.intuit.oauth.consent_realm = rig.intuit.realm_id
    done = await connections(rig).authorize_finish(params=await begin(rig))
    assert done["account_id"] == rig.intuit.realm_id


async def test_a_person_who_declines_changes_nothing_and_the_waiting_command_hears_why(rig: Rig) -> None:
    url = await connections(rig).authorize_start(QUICKBOOKS, redirect_uri=REDIRECT)
    state = dict(parse_qsl(urlsplit(url).query))["state"]
    assert await connections(rig).authorize_outcome(QUICKBOOKS, url=url) is None
    with pytest.raises(AuthenticationError):
        await connections(rig).authorize_finish(params={"state": state, "error": "access_denied"})
    outcome = await connections(rig).authorize_outcome(QUICKBOOKS, url=url)
    assert outcome is not None
    assert outcome["code"] == "authentication_failed"
    assert await rig.store.load_tokens(QUICKBOOKS) is None
    with pytest.raises(NeedsReauthError):
        await connections(rig).test(QUICKBOOKS)
