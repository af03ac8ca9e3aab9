"""Connecting a company in the browser: a one-time link, the provider's page, and the way back."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from connectors.testing.quickbooks_quirks import Consent
from gateway.operations.consent_links import VALID
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Answer, Callers, callers

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    async with callers(rig) as made:
        body = {
            "connector": "quickbooks", "invoice_sync": {"outbound": True, "customer_only": True},
            "config": {
                "client_id": rig.intuit.client_id, "client_secret": rig.intuit.client_secret, "environment": "sandbox",
                "base_url": rig.intuit.base_url, "authorize_url": rig.intuit.authorize_url,
                "token_url": rig.intuit.token_url, "revoke_url": rig.intuit.revoke_url, "timeout_seconds": 2,
            },
        }  # fmt: skip
        answer = await made.admin.ask("PUT", f"{API}/connections/{QUICKBOOKS}", body)
        assert answer.status == 200, answer.body
        yield made


async def link(who: Callers) -> str:
    """Ask for a link, and return its path."""
    told = await who.administrator.post(f"/connections/{QUICKBOOKS}/authorize")
    url = URL(told["authorize_url"])
    assert str(url.origin()) == who.admin.rig.gateway.url
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", told["expires_at"])
    return str(url.relative())


async def agreed(who: Callers, path: str) -> str:
    """Follow a link to the provider, agree there, and return the path of the way back."""
    started = await who.nobody.ask("GET", path)
    assert started.status == 302, started.body
    assert started.headers["Referrer-Policy"] == "no-referrer"
    async with who.nobody.session.get(
        URL(started.headers["Location"], encoded=True), allow_redirects=False
    ) as answer:  # fmt: skip
        assert answer.status == 302, await answer.text()
        back = URL(answer.headers["Location"], encoded=True)
    assert str(back.with_query(None)) == f"{who.admin.rig.gateway.url}/oauth/callback"
    return str(back.relative())


async def back(who: Callers, path: str) -> Answer:
    answer = await who.nobody.ask("GET", path)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    return answer


async def test_a_company_is_connected_named_and_at_once_used(rig: Rig, who: Callers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])

    async def paused() -> bool:
        return bool((await who.viewer.get(f"/connections/{QUICKBOOKS}"))["status"] == "paused")

    from tests.integration.api_setup import eventually  # noqa: PLC0415 - only here

    await eventually(paused)
    answer = await back(who, await agreed(who, await link(who)))
    assert answer.status == 200, answer.body
    page = answer.body.decode()
    assert "Sandbox Company_US_1" in page
    assert QUICKBOOKS in page
    assert "goes on" in page
    shown = await who.viewer.get(f"/connections/{QUICKBOOKS}")
    assert (shown["status"], shown["account"]["account_id"]) == ("active", rig.intuit.realm_id)
    await rig.finish()
    assert await rig.linked(ada["id"], QUICKBOOKS) is not None
    entry = (await who.viewer.items("/audit?action=connection.authorized"))[0]
    assert entry["detail"] == {"account_id": rig.intuit.realm_id, "resumed": True}


async def test_a_link_is_good_for_one_visit(who: Callers) -> None:
    path = await link(who)
    await agreed(who, path)
    again = await back(who, path)
    assert again.status == 400
    assert "consent_invalid" in again.body.decode()


async def test_a_newer_link_ends_the_one_before(who: Callers) -> None:
    first, second = await link(who), await link(who)
    assert (await back(who, first)).status == 400
    await agreed(who, second)


async def test_a_link_is_good_for_ten_minutes(rig: Rig, who: Callers) -> None:
    path = await link(who)
    rig.clock.advance(VALID.total_seconds() + 1)
    answer = await back(who, path)
    assert answer.status == 400
    assert "ten minutes" in answer.body.decode()


@pytest.mark.parametrize(
    "path", ["/oauth/start/qbo-prod", "/oauth/start/qbo-prod?token=", "/oauth/start/qbo-prod?token=x",
             "/oauth/start/nobody?token=x", "/oauth/start/%00?token=%00", "/oauth/start/" + "x" * 300]
)  # fmt: skip
async def test_a_link_that_nobody_has_made_leads_nowhere(who: Callers, path: str) -> None:
    await link(who)
    answer = await back(who, path)
    assert answer.status == 400
    assert answer.headers.get("Location") is None


async def test_an_answer_is_taken_once_and_only_for_the_consent_it_belongs_to(rig: Rig, who: Callers) -> None:
    path = await agreed(who, await link(who))
    state = URL(path).query["state"]
    odd = [
        "/oauth/callback", "/oauth/callback?state=x", f"/oauth/callback?state={QUICKBOOKS}~x&code=1&realmId=1",
        f"/oauth/callback?state=nobody~{state.partition('~')[2]}&code=1&realmId=1", "/oauth/callback?state=%00~%00",
        f"/oauth/callback?state={state}&state={state}&code=1&realmId=1", "/oauth/callback?state=" + "x~" * 3000,
    ]  # fmt: skip
    for each in odd:
        assert (await back(who, each)).status == 400, each
    assert (await back(who, path)).status == 200
    assert (await back(who, path)).status == 400


async def test_an_answer_after_ten_minutes_is_too_late(rig: Rig, who: Callers) -> None:
    path = await agreed(who, await link(who))
    rig.clock.advance(601)
    answer = await back(who, path)
    assert answer.status == 400
    assert (await who.viewer.get(f"/connections/{QUICKBOOKS}"))["account"] is None


async def test_another_company_than_the_one_before_is_refused(rig: Rig, who: Callers) -> None:
    await back(who, await agreed(who, await link(who)))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    rig.intuit.add_company("9999999999", "Another <b>Company</b>")
    rig.intuit.oauth.consent_realm = "9999999999"
    answer = await back(who, await agreed(who, await link(who)))
    assert answer.status == 409
    page = answer.body.decode()
    assert "account_changed" in page
    assert "<b>" not in page
    shown = await who.viewer.get(f"/connections/{QUICKBOOKS}")
    assert shown["account"]["account_id"] == rig.intuit.realm_id
    await rig.finalize(rig.flexprice.add_customer(name="Bea", email="bea@example.com")["id"])
    await rig.finish()
    await rig.check(all_linked=True)


async def test_a_companys_name_is_shown_as_text(rig: Rig, who: Callers) -> None:
    rig.intuit.add_company("8888888888", "<script>alert(1)</script> & Sons")
    rig.intuit.oauth.consent_realm = "8888888888"
    answer = await back(who, await agreed(who, await link(who)))
    assert answer.status == 200
    assert b"<script>" not in answer.body
    assert b"&lt;script&gt;alert(1)&lt;/script&gt; &amp; Sons" in answer.body


async def test_a_person_who_does_not_agree_is_told_what_that_means(rig: Rig, who: Callers) -> None:
    rig.intuit.quirks.consent = Consent.DENY
    answer = await back(who, await agreed(who, await link(who)))
    assert answer.status == 502
    assert "did not agree" in answer.body.decode()


async def test_a_connector_without_consent_makes_no_link(rig: Rig, who: Callers) -> None:
    await rig.add_nomod()
    answer = await who.administrator.ask("POST", f"{API}/connections/{NOMOD}/authorize")
    assert (answer.status, answer.code) == (400, "request_invalid")
    answer = await who.administrator.ask("POST", f"{API}/connections/nobody/authorize")
    assert (answer.status, answer.code) == (404, "not_found")


async def test_the_link_and_the_way_back_are_those_of_the_public_address(
    rig: Rig, who: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a request says about its host is not asked."""
    told: Any = await who.administrator.ask(
        "POST", f"{API}/connections/{QUICKBOOKS}/authorize", headers={"Host": "evil.example"}
    )
    assert told.json["authorize_url"].startswith(f"{rig.gateway.url}/oauth/start/")
