"""`connection`: added, proven, paused, resumed, removed; the consent of a person by callback and by pasting."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from storage.records import JobStatus
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.cli_setup import Cli, cli_of, interrupt, quickbooks_toml


@pytest.fixture
def cli(rig: Rig, tmp_path: Path) -> Cli:
    return cli_of(rig, tmp_path)


async def agree(url: str) -> str:
    """Open the provider's page and agree; return the address to which the browser is sent."""
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as page:
        assert page.status in (302, 303), await page.text()
        return page.headers["Location"]


async def test_a_connection_is_added_with_its_secret_by_reference_or_standard_input(cli: Cli, rig: Rig) -> None:
    base = ("--connector", "nomod", "--config", f"base_url={rig.nomod.url}", "--outbound")
    literal = await cli.run("connection", "add", "one", *base, "--config", f"api_key={rig.nomod.api_key}")
    assert (literal.code, "a secret is no argument" in literal.error) == (2, True)
    missing = await cli.run("connection", "add", "one", *base)
    assert (missing.code, "config: api_key: is missing" in missing.error) == (1, True)
    unknown = await cli.run(
        "connection", "add", "one", *base, "--secret-stdin", "--config", "colour=red", stdin="x" * 20
    )
    assert (unknown.code, "colour: unknown key" in unknown.error) == (1, True)
    plugin = await cli.run("connection", "add", "one", "--connector", "stripe")
    assert (plugin.code, plugin.error.startswith("plugin_unusable: 'stripe' is not installed")) == (1, True)

    reference = cli.secret("NOMOD_KEY", rig.nomod.api_key)
    await cli.ok("connection", "add", "one", *base, "--config", f"api_key={reference}")
    added = await cli.json(
        "connection", "add", "two", *base, "--secret-stdin", "--config", "recovery_lookups=[1,2]",
        stdin=rig.nomod.api_key,
    )  # fmt: skip
    assert (added["change"], added["secrets"]) == ("created", ["api_key"])
    assert added["settings"]["config"]["recovery_lookups"] == [1.0, 2.0]
    again = await cli.run("connection", "add", "two", *base, "--secret-stdin", stdin=rig.nomod.api_key)
    assert (again.code, again.error.startswith("conflict: ")) == (1, True)
    assert (await cli.json("connection", "test", "two"))["connection"] == "two"


async def test_credentials_are_proven_without_writing_and_the_account_is_kept(cli: Cli, rig: Rig) -> None:
    await rig.add_quickbooks()
    before = rig.intuit.customers.copy()
    account = await cli.json("connection", "test", QUICKBOOKS)
    assert account["account_id"] == rig.intuit.realm_id
    assert rig.intuit.customers == before
    shown = await cli.json("connection", "show", QUICKBOOKS)
    assert shown["account"]["account_id"] == rig.intuit.realm_id
    assert account["name"] in (await cli.ok("connection", "list")).out

    await rig.add_nomod(api_key="a-wrong-key-of-nomod")
    refused = await cli.run("connection", "test", NOMOD, "--json")
    assert (refused.code, refused.out) == (1, "")
    assert refused.error.startswith("authentication_failed: ")
    gone = await cli.run("connection", "test", "nowhere")
    assert (gone.code, gone.error.startswith("not_found: there is no connection 'nowhere'")) == (1, True)


async def test_a_new_key_of_a_provider_that_names_no_account_is_taken_with_a_warning(cli: Cli, rig: Rig) -> None:
    """Exchanging a key must not look like another company, though nobody can tell."""
    await rig.add_flexprice()
    await rig.add_nomod()
    first = await cli.json("connection", "test", NOMOD)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    rig.nomod.api_key = "sk_test_Another1.0123456789abcdefghijklmnopqrstuv"
    cli.canaries.append(rig.nomod.api_key)
    await rig.add_nomod()
    second = await cli.json("connection", "test", NOMOD)
    assert second["account_id"] != first["account_id"]
    assert any("same account" in warning for warning in second["warnings"])
    third = await cli.json("connection", "test", NOMOD)
    assert not any("same account" in warning for warning in third["warnings"])


async def test_jobs_of_a_paused_connection_wait_until_it_is_resumed(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    paused = await cli.json("connection", "pause", NOMOD, "--reason", "maintenance")
    assert (paused["status"], paused["pause_reason"]) == ("paused", "maintenance")
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    assert rig.nomod.customers == {}

    in_words = await cli.json("connection", "pause", NOMOD, "--reason", "Moved to Ms. Hopper")
    assert (in_words["pause_reason"], in_words["pause_detail"]) == ("paused_by_operator", "Moved to Ms. Hopper")
    resumed = await cli.json("connection", "resume", NOMOD)
    assert (resumed["status"], resumed["pause_reason"]) == ("active", None)
    await rig.refresh()
    await rig.finish()
    assert len(rig.nomod.customers) == 1


async def test_a_removed_connection_revokes_its_tokens_and_cancels_what_waits_for_it(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    await cli.ok("connection", "pause", QUICKBOOKS)
    await rig.refresh()
    bob = rig.flexprice.add_customer(name="Bob Noyce", email="bob@example.com")
    delivery_id = await rig.finalize(bob["id"])
    await rig.finish()

    removed = await cli.json("connection", "remove", QUICKBOOKS)
    assert removed == {
        "name": QUICKBOOKS, "status": "removed", "revoked": True, "warning": None, "cancelled_jobs": 1,
        "running_jobs": 0,
    }  # fmt: skip
    assert all(chain.revoked for chain in rig.intuit.oauth.chains)
    assert (await cli.json("connection", "list"))["items"] == []
    delivery = await cli.json("delivery", "show", delivery_id)
    assert [job["status"] for job in delivery["jobs"]] == [JobStatus.CANCELLED]
    assert "removed" in delivery["jobs"][0]["reason"]
    mappings = (await cli.json("mapping", "list"))["items"]
    assert [mapping["entity_id"] for mapping in mappings if mapping["status"] == "linked"] == [ada["id"]]


async def test_a_connection_goes_even_when_the_provider_does_not_take_part_in_revoking(cli: Cli, rig: Rig) -> None:
    await rig.add_quickbooks(revoke_url="http://127.0.0.1:9/revoke")
    await cli.ok("connection", "test", QUICKBOOKS)
    removed = await cli.run("connection", "remove", QUICKBOOKS, "--json")
    assert (removed.code, removed.document["revoked"]) == (3, False)
    assert "remove the app's access there" in removed.document["warning"]
    assert (await cli.json("connection", "list"))["items"] == []


async def test_a_consent_is_finished_by_the_running_gateways_callback(cli: Cli, rig: Rig) -> None:
    await cli.ok("apply", cli.write("qbo.toml", quickbooks_toml(cli, rig.intuit)))
    await rig.refresh()
    process = await cli.start("connection", "authorize", "qbo-prod", "--json", LEDGERGATE_PUBLIC_URL=rig.gateway.url)
    assert process.stderr is not None
    told = b""
    while b"/connect/oauth2" not in told and b"state=" not in told:
        told += await asyncio.wait_for(process.stderr.readline(), 30)
    url = told.split()[-1].decode()
    callback = await agree(url)
    assert callback.startswith(f"{rig.gateway.url}/oauth/callback?")
    async with aiohttp.ClientSession() as session, session.get(callback) as page:
        assert page.status == 200
        assert rig.intuit.realm_id in await page.text()
    out, err = await asyncio.wait_for(process.communicate(), 30)
    done = cli.checked(process.returncode, out, err)
    assert (done.code, done.document["account_id"]) == (0, rig.intuit.realm_id)
    assert (await cli.json("connection", "test", "qbo-prod"))["account_id"] == rig.intuit.realm_id

    async with aiohttp.ClientSession() as session, session.get(callback) as page:
        assert page.status == 400, "an answer works once"


async def test_a_consent_is_finished_by_pasting_without_any_gateway(cli: Cli, rig: Rig) -> None:
    await cli.ok("apply", cli.write("qbo.toml", quickbooks_toml(cli, rig.intuit)))
    await rig.stop_nodes()
    begun = await cli.json(
        "connection", "authorize", "qbo-prod", "--no-wait", "--callback-url", "https://localhost/callback"
    )
    redirected = await agree(begun["url"])
    assert redirected.startswith("https://localhost/callback?")
    done = await cli.json("connection", "authorize", "qbo-prod", "--finish", stdin=f"{redirected}\n")
    assert done["account_id"] == rig.intuit.realm_id
    again = await cli.run("connection", "authorize", "qbo-prod", "--finish", stdin=f"{redirected}\n")
    assert (again.code, again.error.startswith("consent_invalid: ")) == (1, True)
    nothing = await cli.run("connection", "authorize", "qbo-prod", "--finish", stdin="\n")
    assert (nothing.code, "held no address" in nothing.error) == (2, True)
    other = await cli.run("connection", "authorize", "qbo-prod", "--finish", stdin="https://x/?code=1&state=other~1\n")
    assert (other.code, "not the answer to a consent of qbo-prod" in other.error) == (1, True)


async def test_a_connection_that_nobody_has_consented_to_says_so_to_people(cli: Cli, rig: Rig) -> None:
    await rig.add_nomod()
    await cli.ok("apply", cli.write("qbo.toml", quickbooks_toml(cli, rig.intuit)))

    async def told() -> list[str]:
        table = (await cli.ok("connection", "list")).out.splitlines()
        return [line for line in table if "needs consent" in line]

    assert [line.split()[0] for line in await told()] == ["qbo-prod"]
    assert "needs consent" in (await cli.ok("connection", "show", "qbo-prod")).out
    listed = (await cli.json("connection", "list"))["items"]
    assert {each["status"] for each in listed} == {"active"}
    begun = await cli.json(
        "connection", "authorize", "qbo-prod", "--no-wait", "--callback-url", "https://localhost/callback"
    )
    await cli.ok("connection", "authorize", "qbo-prod", "--finish", stdin=f"{await agree(begun['url'])}\n")
    assert await told() == []


async def test_waiting_for_a_consent_ends_quietly_when_it_is_interrupted(cli: Cli, rig: Rig) -> None:
    await cli.ok("apply", cli.write("qbo.toml", quickbooks_toml(cli, rig.intuit)))
    process = await cli.start("connection", "authorize", "qbo-prod", LEDGERGATE_PUBLIC_URL=rig.gateway.url)
    assert process.stderr is not None
    told = b""
    while b"Waiting" not in told:
        told += await asyncio.wait_for(process.stderr.readline(), 30)
    assert f"to the letter: {rig.gateway.url}/oauth/callback\n".encode() in told
    interrupt(process)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out, err) == (130, b"", b"")


async def test_a_connector_without_consent_says_so(cli: Cli, rig: Rig) -> None:
    await rig.add_nomod()
    refused = await cli.run("connection", "authorize", NOMOD, "--no-wait")
    assert (refused.code, refused.error.startswith("request_invalid: nomod needs no consent")) == (1, True)


async def test_connectors_are_listed_with_their_settings_and_no_values(cli: Cli) -> None:
    found = {each["name"]: each for each in (await cli.json("connector", "list"))["items"]}
    assert {"nomod", "quickbooks"} <= set(found)
    settings = {setting["name"]: setting for setting in found["quickbooks"]["settings"]}
    assert (settings["client_secret"]["required"], settings["client_secret"]["secret"]) == (True, True)
    assert (settings["refresh_token"]["required"], settings["refresh_token"]["secret"]) == (False, True)
    assert all(setting["description"] for each in found.values() for setting in each["settings"]), json.dumps(found)
