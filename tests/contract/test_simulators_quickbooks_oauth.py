"""The simulated Intuit's OAuth: consent, single-use codes, rotation, and what becomes of a refresh token used twice."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.quickbooks_quirks import Rotation
from tests.contract.quickbooks_client import Client
from tests.contract.simulated import Clock

CALLBACK = "https://gateway.example/callback"
DAY = 86400
HARD = {"x-include-refresh-token-hard-expires-in": "true"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sim(clock: Clock) -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as running:
        running.quirks.clock = clock
        yield running


@pytest.fixture
async def client(sim: QuickBooksSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sim, session)


def exchange(code: str, redirect_uri: str = CALLBACK) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}


async def test_a_consent_brings_a_code_the_state_and_the_realm_and_the_code_brings_tokens(
    sim: QuickBooksSimulator, client: Client
) -> None:
    status, answer = await client.consent()
    assert (status, answer["state"], answer["realmId"]) == (302, "s-1", sim.realm_id)
    tokens = (await client.oauth(exchange(answer["code"]))).json
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    assert tokens["x_refresh_token_expires_in"] == 100 * DAY
    assert "x_refresh_token_hard_expires_in" not in tokens
    good = await client.call("GET", "query", token=tokens["access_token"], params={"query": "select * from Customer"})
    assert good.status == 200


async def test_the_redirect_keeps_what_the_redirect_uri_already_carried(client: Client) -> None:
    _, answer = await client.consent(redirect_uri=f"{CALLBACK}?tenant=t1", state="a b&c")
    assert (answer["tenant"], answer["state"]) == ("t1", "a b&c")


@pytest.mark.parametrize(
    "changes, status, error",
    [
        ({"client_id": "other"}, 400, None),
        ({"redirect_uri": ""}, 400, None),
        ({"redirect_uri": f"{CALLBACK}/"}, 400, None),
        ({"response_type": "token"}, 400, None),
        ({"state": ""}, 400, None),
        ({"scope": "openid"}, 302, "invalid_scope"),
    ],
)
async def test_a_bad_consent_request_is_never_redirected_unless_its_redirect_is_registered(
    sim: QuickBooksSimulator, client: Client, changes: dict[str, str], status: int, error: str | None
) -> None:
    sim.oauth.redirect_uris = {CALLBACK}
    got, answer = await client.consent(**changes)
    assert (got, answer.get("error"), "code" in answer) == (status, error, False)


async def test_the_administrator_may_say_no(sim: QuickBooksSimulator, client: Client) -> None:
    sim.quirks.consent = "deny"
    assert await client.consent() == (302, {"state": "s-1", "error": "access_denied"})


async def test_the_administrator_may_pick_another_company(sim: QuickBooksSimulator, client: Client) -> None:
    sim.add_company("999", "Other Ltd")
    sim.oauth.consent_realm = "999"
    _, answer = await client.consent()
    token = (await client.oauth(exchange(answer["code"]))).json["access_token"]
    assert answer["realmId"] == "999"
    assert (await client.call("GET", "companyinfo/999", realm="999", token=token)).status == 200
    assert (await client.call("GET", "companyinfo/1", token=token)).status == 403


async def test_a_code_works_once_with_its_own_redirect_uri_and_not_for_long(
    sim: QuickBooksSimulator, client: Client, clock: Clock
) -> None:
    _, answer = await client.consent()
    assert (await client.oauth(exchange(answer["code"], "https://other.example/"))).json["error"] == "invalid_grant"
    tokens = (await client.oauth(exchange(answer["code"]))).json
    again = await client.oauth(exchange(answer["code"]))
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert (await client.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    _, late = await client.consent()
    clock.now += 600
    assert (await client.oauth(exchange(late["code"]))).json["error"] == "invalid_grant"
    assert (await client.oauth(exchange("never given"))).json["error"] == "invalid_grant"
    assert sim.oauth.refused == ["invalid_grant"] * 5


async def test_a_refresh_rotates_the_token_and_leaves_the_old_access_token_alive(
    sim: QuickBooksSimulator, client: Client
) -> None:
    tokens = (await client.refresh(client.refresh_token)).json
    assert tokens["refresh_token"] != client.refresh_token
    for token in (client.access, tokens["access_token"]):
        assert (await client.call("GET", "preferences", token=token)).status == 200
    assert (sim.oauth.chains[0].refreshes, sim.oauth.chains[0].reused) == (1, 0)


async def test_refreshing_with_a_rotated_token_kills_the_whole_chain(sim: QuickBooksSimulator, client: Client) -> None:
    tokens = (await client.refresh(client.refresh_token)).json
    again = await client.refresh(client.refresh_token)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")
    assert (await client.refresh(tokens["refresh_token"])).json["error"] == "invalid_grant"
    dead = await client.call("GET", "preferences", token=tokens["access_token"])
    assert (dead.status, dead.error) == (401, ("3200", "Token revoked"))
    assert (sim.oauth.chains[0].revoked, sim.oauth.chains[0].reused) == (True, 1)


async def test_two_refreshes_at_once_cost_the_connection(sim: QuickBooksSimulator, client: Client) -> None:
    replies = await asyncio.gather(*(client.refresh(client.refresh_token) for _ in range(2)))
    assert sorted(reply.status for reply in replies) == [200, 400]
    assert sim.oauth.chains[0].revoked


async def test_the_punishment_can_be_switched_off(sim: QuickBooksSimulator, client: Client) -> None:
    sim.quirks.revoke_chain_on_reuse = False
    tokens = (await client.refresh(client.refresh_token)).json
    assert (await client.refresh(client.refresh_token)).json["error"] == "invalid_grant"
    assert (await client.refresh(tokens["refresh_token"])).status == 200


async def test_a_rotated_token_may_have_a_period_of_grace(
    sim: QuickBooksSimulator, client: Client, clock: Clock
) -> None:
    sim.quirks.rotated_token_grace = DAY
    tokens = (await client.refresh(client.refresh_token)).json
    clock.now += DAY - 1
    assert (await client.refresh(client.refresh_token)).json["refresh_token"] == tokens["refresh_token"]
    clock.now += 1
    assert (await client.refresh(client.refresh_token)).json["error"] == "invalid_grant"


async def test_with_daily_rotation_the_same_value_comes_back_within_a_day(
    sim: QuickBooksSimulator, client: Client, clock: Clock
) -> None:
    sim.quirks.rotate = Rotation.DAILY
    clock.now += DAY - 1
    same = (await client.refresh(client.refresh_token)).json
    assert same["refresh_token"] == client.refresh_token
    assert same["x_refresh_token_expires_in"] == 99 * DAY + 1
    clock.now += 1
    new = (await client.refresh(client.refresh_token)).json
    assert new["refresh_token"] != client.refresh_token
    assert new["x_refresh_token_expires_in"] == 100 * DAY


async def test_an_idle_refresh_token_ends_after_100_days_and_a_used_one_after_five_years(
    sim: QuickBooksSimulator, client: Client, clock: Clock
) -> None:
    token = client.refresh_token
    for turn in range(1, 20):
        clock.now += 95 * DAY
        tokens = (await client.refresh(token, **HARD)).json
        token = tokens["refresh_token"]
        assert tokens["x_refresh_token_hard_expires_in"] == (5 * 365 - turn * 95) * DAY
    clock.now += 20 * DAY
    assert (await client.refresh(token)).json["error"] == "invalid_grant"
    _, idle = sim.issue_tokens()
    clock.now += 100 * DAY
    assert (await client.refresh(idle)).json["error"] == "invalid_grant"


async def test_a_lost_refresh_answer_has_rotated_the_token(sim: QuickBooksSimulator, client: Client) -> None:
    sim.faults.add(sim.faults.refresh_lost())
    with pytest.raises(aiohttp.ClientError):
        await client.refresh(client.refresh_token)
    assert sim.oauth.chains[0].refresh_token != client.refresh_token


@pytest.mark.parametrize(
    "form, error",
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_grant"),
        ({"grant_type": "authorization_code"}, "invalid_grant"),
    ],
)
async def test_a_malformed_token_request_is_refused_as_rfc_6749_says(
    client: Client, form: dict[str, str], error: str
) -> None:
    reply = await client.oauth(form)
    assert (reply.status, reply.json["error"]) == (400, error)


async def test_a_wrong_client_gets_401_and_harms_no_token(sim: QuickBooksSimulator, client: Client) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": client.refresh_token}
    wrong = await client.oauth(form, secret="not it")
    assert (wrong.status, wrong.json["error"]) == (401, "invalid_client")
    for header in ("", "Basic !", "Bearer x"):
        assert (await client.oauth(form, Authorization=header)).status == 401
    assert (await client.refresh(client.refresh_token)).status == 200


async def test_a_json_token_request_is_refused(sim: QuickBooksSimulator, client: Client) -> None:
    headers = {"Authorization": client.basic()}
    async with client.session.post(sim.token_url, json={"grant_type": "refresh_token"}, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_request")


async def test_revoking_either_token_ends_the_chain(sim: QuickBooksSimulator, client: Client) -> None:
    headers = {"Authorization": client.basic()}
    for which in (0, 1):
        pair = sim.issue_tokens()
        async with client.session.post(sim.revoke_url, json={"token": pair[which]}, headers=headers) as answer:
            assert answer.status == 200
        async with client.session.post(sim.revoke_url, json={"token": pair[which]}, headers=headers) as answer:
            assert answer.status == 400
        assert (await client.call("GET", "preferences", token=pair[0])).status == 401
        assert (await client.refresh(pair[1])).json["error"] == "invalid_grant"
    async with client.session.post(sim.revoke_url, json={"token": client.refresh_token}) as answer:
        assert answer.status == 401
    async with client.session.post(sim.revoke_url, data={"token": client.refresh_token}, headers=headers) as answer:
        assert answer.status == 400
    assert (await client.get("preferences")).status == 200


async def test_a_disconnect_in_quickbooks_ends_every_chain(sim: QuickBooksSimulator, client: Client) -> None:
    sim.oauth.disconnect()
    assert (await client.get("preferences")).status == 401
    assert (await client.refresh(client.refresh_token)).json["error"] == "invalid_grant"


async def test_access_tokens_can_be_ended_at_will(sim: QuickBooksSimulator, client: Client) -> None:
    sim.oauth.expire_access_tokens()
    assert (await client.get("preferences")).error[0] == "3200"
    token = (await client.refresh(client.refresh_token)).json["access_token"]
    assert (await client.call("GET", "preferences", token=token)).status == 200


def test_a_chain_does_not_show_its_tokens(sim: QuickBooksSimulator) -> None:
    access, refresh = sim.issue_tokens()
    assert access not in repr(sim.oauth.chains)
    assert refresh not in repr(sim.oauth.chains)
