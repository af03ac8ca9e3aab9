"""Setting up connections in the console: tested before they are saved, with secrets that are never shown again."""

import re
from collections.abc import AsyncIterator

import pytest

from connectors.testing.faults import Fault, FaultKind
from gateway import keys
from gateway.configuration import rows
from tests.configuring import TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.console_setup import Browsers, browsers


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """A gateway without anything configured; and browsers with each kind of key."""
    async with browsers(rig) as opened:
        yield opened


def nomod(rig: Rig, **more: str) -> dict[str, str]:
    """Return what a person fills in for the simulated Nomod."""
    filled = {"name": NOMOD, "config.api_key": rig.nomod.api_key, "config.base_url": rig.nomod.url, "do": "tested"}
    return {**filled, "outbound": "yes", **more}


def stored(rig: Rig, name: str) -> dict[str, str]:
    """Return the secrets of a connection that the gateway lives by."""
    live = rig.gateway.app[keys.REGISTRY].connections[name]
    return rows.connection_secrets(live.row, rig.gateway.app[keys.VAULT])


async def test_a_connection_is_tested_and_then_saved(rig: Rig, who: Browsers) -> None:
    chosen = await who.administrator.get("/connections/new")
    assert "Add Nomod" in chosen.text
    assert "Add QuickBooks Online" in chosen.text
    form = await who.administrator.get("/connections/new?connector=nomod")
    page = await who.administrator.submit(form, "/connections", **nomod(rig))
    assert "Created, and the credentials work" in page.text
    assert page.heading.startswith(NOMOD)
    live = rig.gateway.app[keys.REGISTRY].connections[NOMOD]
    assert (live.row.tenant_id, live.outbound, live.problem) == (TENANT, True, None)
    assert stored(rig, NOMOD) == {"api_key": rig.nomod.api_key}
    assert live.row.settings["config"] == {"base_url": rig.nomod.url}


async def test_what_does_not_work_is_not_saved_and_the_form_keeps_all_but_the_secret(rig: Rig, who: Browsers) -> None:
    filled = nomod(rig, **{"config.api_key": "sk_test_wrong_key", "config.timeout_seconds": "7"})
    page = await who.administrator.post("/connections", {"connector": "nomod", **filled})
    assert page.status == 502
    assert "authentication_failed" in page.text
    assert "Nothing was saved" in page.text
    assert "sk_test_wrong_key" not in page.html
    again = page.form("/connections")
    assert again.fields["config.timeout_seconds"] == "7"
    assert again.fields["config.base_url"] == rig.nomod.url
    assert await rig.store.list_connections() == []


async def test_an_unreachable_provider_can_be_saved_untested_on_purpose(rig: Rig, who: Browsers) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, status=503, times=50))
    filled = {"connector": "nomod", **nomod(rig)}
    assert (await who.administrator.post("/connections", filled)).status == 502
    page = await who.administrator.follow(await who.administrator.post("/connections", {**filled, "do": "untested"}))
    assert page.heading.startswith(NOMOD)
    assert len(await rig.store.list_connections()) == 1


@pytest.mark.parametrize(
    "change,told",
    [
        ({"config.api_key": ""}, "api_key"), ({"config.base_url": "ftp://x"}, "base URL"),
        ({"config.match": "guess"}, "match"), ({"config.recovery_lookups": "3, 2"}, "recovery_lookups"),
        ({"config.concurrency": "many"}, "concurrency"), ({"name": "Not A Name"}, "name"), ({"name": ""}, "name"),
    ],
)  # fmt: skip
async def test_a_setting_that_cannot_be_is_named_and_nothing_is_saved(
    rig: Rig, who: Browsers, change: dict[str, str], told: str
) -> None:
    page = await who.administrator.post("/connections", {"connector": "nomod", **nomod(rig, **change)})
    assert page.status == 400
    assert "Configuration invalid" in page.text
    assert told in page.text
    assert rig.nomod.api_key not in page.html
    assert await rig.store.list_connections() == []


async def test_a_name_that_is_taken_is_refused_another_tenants_too(rig: Rig, who: Browsers) -> None:
    await who.administrator.post("/connections", {"connector": "nomod", **nomod(rig)})
    for browser in (who.administrator, who.stranger):
        page = await browser.post("/connections", {"connector": "nomod", **nomod(rig, **{"config.api_key": "sk_x"})})
        assert page.status == 409
        assert "choose another name" in page.text
    assert stored(rig, NOMOD) == {"api_key": rig.nomod.api_key}


async def test_each_connector_says_what_it_makes(who: Browsers) -> None:
    offered = await who.administrator.get("/connections/new")
    for said in ("Customers, invoices with a page on which they are paid", "gifts as sales receipts"):
        assert said in offered.text


async def test_no_two_fields_of_a_form_have_one_label(who: Browsers) -> None:
    form = await who.admin.get("/connections/new?connector=quickbooks")
    labels = re.findall(r"<label [^>]*>([^<]+)", form.html)
    assert {"Environment", "Environment of QuickBooks Online"} <= {label.strip() for label in labels}
    assert len(labels) == len(set(labels))


async def test_a_connector_that_is_not_there_is_said_so(who: Browsers) -> None:
    page = await who.administrator.get("/connections/new?connector=none", status=400)
    assert page.heading == "Plugin unusable"
    assert (await who.administrator.post("/connections", {"connector": "none", "name": "x"})).status == 400
    assert (await who.administrator.get("/sources/new?platform=none", status=400)).heading == "Plugin unusable"


async def test_a_changed_connection_keeps_its_secret_when_that_is_left_empty(rig: Rig, who: Browsers) -> None:
    await who.administrator.post("/connections", {"connector": "nomod", **nomod(rig)})
    form = await who.administrator.get(f"/connections/{NOMOD}/edit")
    assert rig.nomod.api_key not in form.html
    assert "stored; leave empty to keep it" in form.html
    filled = {"config.match": "strict", "do": "tested"}
    page = await who.administrator.submit(form, f"/connections/{NOMOD}/edit", **filled)
    assert "Updated, and the credentials work" in page.text
    assert stored(rig, NOMOD) == {"api_key": rig.nomod.api_key}
    config = rig.gateway.app[keys.REGISTRY].connections[NOMOD].row.settings["config"]
    assert config == {"base_url": rig.nomod.url, "match": "strict"}
    form = await who.administrator.get(f"/connections/{NOMOD}/edit")
    page = await who.administrator.submit(form, f"/connections/{NOMOD}/edit", **{"config.api_key": "sk_wrong_one"})
    assert page.status == 502
    assert stored(rig, NOMOD) == {"api_key": rig.nomod.api_key}


async def test_another_company_behind_the_same_connection_is_refused(rig: Rig, who: Browsers) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    await who.administrator.post(f"/connections/{QUICKBOOKS}/test")
    rig.intuit.add_company("9130000000000000001", "Somebody Else")
    await rig.finalize(rig.flexprice.add_customer(name="Ada", email="ada@example.com")["id"])
    await rig.finish()
    form = await who.administrator.get(f"/connections/{QUICKBOOKS}/edit")
    page = await who.administrator.submit(
        form, f"/connections/{QUICKBOOKS}/edit", **{"config.realm_id": "9130000000000000001"}
    )
    assert page.status == 400
    assert "belong to another company" in page.text


async def test_quickbooks_is_saved_and_then_connected_by_a_one_time_link(rig: Rig, who: Browsers) -> None:
    form = await who.administrator.get("/connections/new?connector=quickbooks")
    filled = {
        "name": QUICKBOOKS, "outbound": "yes", "config.client_id": rig.intuit.client_id,
        "config.client_secret": rig.intuit.client_secret, "config.environment": "sandbox",
        "config.base_url": rig.intuit.base_url, "config.authorize_url": rig.intuit.authorize_url,
        "config.token_url": rig.intuit.token_url, "config.revoke_url": rig.intuit.revoke_url,
    }  # fmt: skip
    page = await who.administrator.submit(form, "/connections", **filled)
    assert "Now connect it with QuickBooks Online" in page.text
    assert "Nobody has connected a company yet" in page.text
    for path in ("/connections", "/"):
        assert "Needs consent" in (await who.administrator.get(path)).text
    shown = await who.administrator.submit(page, f"/connections/{QUICKBOOKS}/connect")
    assert f"{rig.gateway.url}/oauth/callback" in shown.text
    link = next(link for link in shown.links if "/oauth/start/" in link)
    answer = await who.nobody.ask("GET", link.removeprefix(rig.gateway.url))
    assert answer.status == 302
    assert answer.location.startswith(rig.intuit.authorize_url)
    used = await who.nobody.ask("GET", link.removeprefix(rig.gateway.url))
    assert used.status == 400
