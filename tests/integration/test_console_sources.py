"""Setting up sources in the console: their secrets and their rotation, polling, and the command that tries them."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from html import unescape

import pytest

from gateway import keys
from gateway.configuration import rows
from gateway.sources.signing import new_secret
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.console_setup import Browsers, browsers


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """A gateway without anything configured; and browsers with each kind of key."""
    async with browsers(rig) as opened:
        yield opened


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
    assert f"with the address {rig.gateway.url}/webhooks/{SOURCE}" in page.text
    rig.secret = "whsec_" + page.html.split("whsec_")[1].split("<")[0]
    assert (await rig.post(b'{"type":"nothing"}')).status == 202
    assert rig.secret not in (await who.administrator.get(f"/sources/{SOURCE}")).html


async def test_each_platform_says_what_it_sends_and_how_it_proves_itself(who: Browsers) -> None:
    offered = await who.administrator.get("/sources/new")
    for said in ("Final invoices bring their customers", "Gifts bring their givers", "Tells of payments"):
        assert said in offered.text
    for platform, verification, name in (
        ("flexprice", "standard-webhooks", "flexprice-prod"), ("nomod", "standard-webhooks", "nomod-events"),
        ("quickbooks", "intuit-signature", "quickbooks-events"),
    ):  # fmt: skip
        form = await who.administrator.get(f"/sources/new?platform={platform}")
        fields = form.form("/sources").fields
        assert (fields["verification"], fields["name"]) == (verification, name)
        # What is required stands open: a browser says nothing about a required field that it cannot show.
        assert ("<details open><summary>Options" in form.html) is (name != "flexprice-prod")


async def test_a_source_of_payments_chooses_among_the_connections_of_its_provider(rig: Rig, who: Browsers) -> None:
    address = "/sources/new?platform=nomod"
    assert "There is no nomod connection yet: add that first." in (await who.administrator.get(address)).text
    await rig.add_nomod()
    await rig.add_quickbooks()
    form = await who.administrator.get(address)
    assert form.form("/sources").fields["options.connection"] == NOMOD
    assert f'<option value="{QUICKBOOKS}"' not in form.html
    page = await who.administrator.submit(form, "/sources", secret=rig.secret)
    assert "that of its connection" in page.text
    await rig.add_nomod(name="nomod-other")
    asked = (await who.administrator.get(address)).form("/sources").fields
    assert asked["options.connection"] == "", "with several of them, none is taken unasked"
    kept = (await who.administrator.get("/sources/nomod-events/edit")).form("/sources/nomod-events/edit").fields
    assert kept["options.connection"] == NOMOD


async def test_a_sources_page_says_which_api_is_read(rig: Rig, who: Browsers) -> None:
    await rig.add_flexprice()
    assert rig.flexprice.api_url in (await who.administrator.get(f"/sources/{SOURCE}")).text
    form = await who.administrator.get("/sources/new?platform=tithely")
    page = await who.administrator.submit(form, "/sources", name="gifts", secret=rig.secret)
    assert "not read: polling is off" in page.text
    polled = {
        "poll": "yes", "poll.public_key": "pub_1", "poll.private_key": "pri_1", "poll.organization_id": "org_1",
        "poll.base_url": rig.tithely.url,
    }  # fmt: skip
    edit = await who.administrator.get("/sources/gifts/edit")
    page = await who.administrator.submit(edit, "/sources/gifts/edit", **polled)
    assert rig.tithely.url in page.text


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
    assert "no other is accepted" in shown.text
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
