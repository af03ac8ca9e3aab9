"""Setting up in the console: forms from the models of connectors and platforms, tested before they are saved."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from connectors.nomod.config import NomodConfig
from connectors.quickbooks.config import QuickBooksConfig
from connectors.testing.faults import Fault, FaultKind
from gateway import keys
from gateway.configuration import rows
from gateway.console.config_form import fields_of, label_of, settings_from
from gateway.console.forms import MAX_FIELDS, MAX_FORM_BYTES
from gateway.sources.signing import new_secret
from tests.configuring import SOURCE, TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.console_setup import ROOT, Browsers, browsers

HOME = {"tenant_id": TENANT, "environment_id": "prod"}


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


# From a model to a form and back -------------------------------------------------------------------------------------


def test_a_form_has_a_field_for_every_setting_of_a_connector() -> None:
    for model in (NomodConfig, QuickBooksConfig):
        fields = {field.name: field for field in fields_of(model, "config.")}
        assert list(fields) == list(model.model_fields)
        assert all(field.label and field.description.endswith((".", "?", "!")) for field in fields.values())
    nomod_fields = {field.name: field for field in fields_of(NomodConfig, "config.")}
    assert nomod_fields["api_key"].kind == "password"
    assert nomod_fields["api_key"].required
    assert nomod_fields["marker"].kind == "checkbox"
    assert nomod_fields["match"].options == ("strict", "email")
    assert nomod_fields["recovery_lookups"].value == "5, 20, 60, 180, 600"
    assert nomod_fields["timeout_seconds"].kind == "number"
    intuit = {field.name: field for field in fields_of(QuickBooksConfig, "config.")}
    assert (intuit["refresh_token"].kind, intuit["refresh_token"].required) == ("password", False)


def test_what_is_left_at_its_default_is_not_stored() -> None:
    fields = {field.input: field.value for field in fields_of(QuickBooksConfig, "config.")}
    filled = {**fields, "config.client_id": "id", "config.client_secret": "secret", "config.match": "email"}
    found = settings_from(QuickBooksConfig, "config.", filled)
    assert found == {"client_id": "id", "client_secret": "secret", "match": "email"}
    more = {
        **filled,
        "config.recovery_lookups": "1, 2,3",
        "config.match_multi_email": "yes",
        "config.replay_seconds": "5",
    }
    found = settings_from(QuickBooksConfig, "config.", more)
    assert QuickBooksConfig.model_validate(found).recovery_lookups == (1.0, 2.0, 3.0)
    assert (found["match_multi_email"], found["replay_seconds"]) == (True, "5")


def test_stored_values_come_back_in_the_form_and_secrets_do_not() -> None:
    fields = fields_of(NomodConfig, "config.", values={"marker": True, "api_key": "sk_x"}, stored=("api_key",))
    shown = {field.name: field for field in fields}
    assert shown["marker"].value == "yes"
    assert (shown["api_key"].value, shown["api_key"].stored, shown["api_key"].required) == ("", True, False)


def test_names_become_labels() -> None:
    assert [label_of(name) for name in ("api_key", "base_url", "client_id", "match")] == [
        "API key", "Base URL", "Client ID", "Match",
    ]  # fmt: skip


# Connections ---------------------------------------------------------------------------------------------------------


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
    shown = await who.administrator.submit(page, f"/connections/{QUICKBOOKS}/connect")
    assert f"{rig.gateway.url}/oauth/callback" in shown.text
    link = next(link for link in shown.links if "/oauth/start/" in link)
    answer = await who.nobody.ask("GET", link.removeprefix(rig.gateway.url))
    assert answer.status == 302
    assert answer.location.startswith(rig.intuit.authorize_url)
    used = await who.nobody.ask("GET", link.removeprefix(rig.gateway.url))
    assert used.status == 400


# Sources -------------------------------------------------------------------------------------------------------------


async def test_a_source_is_added_with_the_platforms_own_secret(rig: Rig, who: Browsers) -> None:
    form = await who.administrator.get("/sources/new?platform=flexprice")
    filled = {
        "name": SOURCE, "secret": rig.secret, "api_url": rig.flexprice.api_url, "api_key": rig.flexprice.api_key,
        "verification": "standard-webhooks",
    }  # fmt: skip
    page = await who.administrator.submit(form, "/sources", **filled)
    assert f"{rig.gateway.url}/webhooks/{SOURCE}" in page.text
    assert rig.secret not in page.html
    assert (await rig.post(b'{"type":"nothing"}')).status == 202


async def test_without_a_secret_one_is_made_and_shown_once(rig: Rig, who: Browsers) -> None:
    form = await who.administrator.get("/sources/new?platform=tithely")
    page = await who.administrator.submit(form, "/sources", name=SOURCE)
    assert "Shown this once" in page.text
    rig.secret = "whsec_" + page.html.split("whsec_")[1].split("<")[0]
    assert (await rig.post(b'{"type":"nothing"}')).status == 202
    assert rig.secret not in (await who.administrator.get(f"/sources/{SOURCE}")).html


async def test_secrets_are_rotated_with_an_overlap(rig: Rig, who: Browsers) -> None:
    await rig.add_flexprice()
    old, new = rig.secret, new_secret()
    page = await who.administrator.get(f"/sources/{SOURCE}")
    after = await who.administrator.submit(page, f"/sources/{SOURCE}/rotate", secret=new)
    assert "The new secret is accepted" in after.text
    for secret in (old, new):
        rig.secret = secret
        assert (await rig.post(b'{"type":"nothing"}')).status == 202
    both = (await who.administrator.get(f"/sources/{SOURCE}")).text
    assert "Secret 1 (newest): last used" in both
    assert "Secret 2 : last used" in both
    form = after.form(f"/sources/{SOURCE}/rotate").fields
    form.pop("keep_old")
    shown = await who.administrator.post(f"/sources/{SOURCE}/rotate", {**form, "secret": ""})
    rig.secret = "whsec_" + shown.html.split("whsec_")[1].split("<")[0]
    assert (await rig.post(b'{"type":"nothing"}')).status == 202
    assert "Secret 2" not in (await who.administrator.get(f"/sources/{SOURCE}")).text
    rig.secret = old
    assert (await rig.post(b'{"type":"nothing"}')).status == 401
    weak = await who.administrator.follow(
        await who.administrator.post(f"/sources/{SOURCE}/rotate", {"secret": "whsec_eA==", "keep_old": "yes"})
    )
    assert "Nothing was changed" in weak.text


async def test_a_static_header_needs_no_signature(rig: Rig, who: Browsers) -> None:
    form = await who.administrator.get("/sources/new?platform=flexprice")
    filled = {"name": SOURCE, "verification": "static-header", "header": "X-Token", "secret": "t" * 32}
    page = await who.administrator.submit(form, "/sources", **filled)
    assert "X-Token" in page.text
    url = f"{rig.gateway.url}/webhooks/{SOURCE}"
    async with who.admin.session.post(url, data=b'{"type":"x"}', headers={"X-Token": "t" * 32}) as answer:
        assert answer.status == 202


@pytest.mark.parametrize(
    "change,told",
    [
        ({"secret": "short"}, "secrets"), ({"verification": "none"}, "verification"), ({"name": "Not A Name"}, "name"),
        ({"api_url": "ftp://x"}, "api_url"), ({"options.reconcile_seconds": "0.5"}, "options"),
        ({"options.reconcile_seconds": "often"}, "options"),
    ],
)  # fmt: skip
async def test_a_source_that_cannot_be_is_not_saved(rig: Rig, who: Browsers, change: dict[str, str], told: str) -> None:
    filled = {"platform": "flexprice", "name": SOURCE, "verification": "standard-webhooks", "secret": rig.secret}
    page = await who.administrator.post("/sources", {**filled, **change})
    assert page.status == 400
    assert told in page.text
    assert rig.secret not in page.html
    assert await rig.store.list_sources() == []


async def test_a_changed_source_keeps_its_secrets_and_its_key(rig: Rig, who: Browsers) -> None:
    await rig.add_flexprice()
    form = await who.administrator.get(f"/sources/{SOURCE}/edit")
    assert rig.flexprice.api_key not in form.html
    page = await who.administrator.submit(form, f"/sources/{SOURCE}/edit", **{"options.reconcile_seconds": "60"})
    assert "Saved" in page.text
    live = rig.gateway.app[keys.REGISTRY].sources[SOURCE]
    config = rows.source_config(live.row, rig.gateway.app[keys.VAULT])
    assert (config.secrets, config.api_key) == ((rig.secret,), rig.flexprice.api_key)
    assert float(config.options["reconcile_seconds"]) == 60
    kept = await who.administrator.get(f"/sources/{SOURCE}/edit")
    assert kept.form(f"/sources/{SOURCE}/edit").fields["options.reconcile_seconds"] == "60"


async def test_polling_is_switched_on_with_its_keys(rig: Rig, who: Browsers) -> None:
    form = await who.administrator.get("/sources/new?platform=tithely")
    filled = {
        "name": SOURCE, "secret": rig.secret, "poll": "yes", "poll.public_key": "pub_1", "poll.private_key": "pri_1",
        "poll.organization_id": "org_1", "poll.base_url": rig.tithely.url,
    }  # fmt: skip
    await who.administrator.submit(form, "/sources", **filled)
    row = rig.gateway.app[keys.REGISTRY].sources[SOURCE].row
    assert row.settings["poll"]["organization_id"] == "org_1"
    edit = await who.administrator.get(f"/sources/{SOURCE}/edit")
    assert "pri_1" not in edit.html
    await who.administrator.submit(edit, f"/sources/{SOURCE}/edit", **{"poll.interval_seconds": "120"})
    row = rig.gateway.app[keys.REGISTRY].sources[SOURCE].row
    assert float(row.settings["poll"]["interval_seconds"]) == 120
    config = rows.source_config(row, rig.gateway.app[keys.VAULT])
    assert config.poll is not None
    assert config.poll.private_key.get_secret_value() == "pri_1"


@pytest.mark.curl
@pytest.mark.parametrize("verification", ["standard-webhooks", "static-header"])
async def test_the_command_to_copy_is_accepted_by_the_door(rig: Rig, who: Browsers, verification: str) -> None:
    secret = rig.secret if verification == "standard-webhooks" else "t" * 32
    form = await who.administrator.get("/sources/new?platform=flexprice")
    filled = {"name": SOURCE, "verification": verification, "secret": secret}
    page = await who.administrator.submit(form, "/sources", **filled)
    start = page.html.index('<pre id="curl"')
    command = unescape(page.html[page.html.index(">", start) + 1 : page.html.index("</pre>", start)])
    assert secret not in command
    done = await run(command, secret)
    assert json.loads(done)["duplicate"] is False


async def run(command: str, secret: str) -> str:
    """Run a command in a shell, with the secret in its environment."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret}
    )
    out, _ = await process.communicate()
    return out.decode()


# What a browser does not send ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,content_type,status",
    [
        (b"x" * (MAX_FORM_BYTES + 1), None, 413), (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), None, 400),
        (b"a=%ff", None, 400), (b"\xff=1", None, 400), (b"{}", "application/json", 400),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400), (b"", None, 403), (b"a", None, 403),
    ],
)  # fmt: skip
async def test_a_form_that_no_page_sends_is_refused(
    who: Browsers, body: bytes, content_type: str | None, status: int
) -> None:
    headers: Any = {"Content-Type": content_type} if content_type else None
    for path in ("/sources", "/logout", "/login"):
        answer = await who.administrator.ask("POST", ROOT + path, body, headers=headers)
        assert answer.status == status, (path, answer.text)
        assert "<h1>" in answer.html
