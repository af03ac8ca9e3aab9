"""`source`: added, shown, tried through the HTTP door, rotated, switched off; a running gateway follows."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from gateway.pipeline.worker import REFRESH_SECONDS
from gateway.sources.signing import new_secret, sign
from tests.harness import NOMOD, SOURCE, Rig
from tests.integration.cli_setup import PATIENCE, Cli, cli_of


@pytest.fixture
def cli(rig: Rig, tmp_path: Path) -> Cli:
    return cli_of(rig, tmp_path)


async def answer(rig: Rig, source: str, secret: str) -> int:
    """Post a signed event, and return the status."""
    body = b'{"event_type":"customer.created","customer":{"id":"cust_1"}}'
    headers = sign(secret, message_id=f"msg_{time.monotonic_ns()}", timestamp=int(time.time()), body=body)
    url = f"{rig.gateway.url}/webhooks/{source}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answered:
        return answered.status


async def within_two_seconds(rig: Rig, source: str, secret: str, status: int) -> None:
    """Wait until the gateway answers so. It looks often enough for two seconds; how long it takes is the machine's."""
    assert REFRESH_SECONDS <= 1
    deadline = time.monotonic() + PATIENCE
    while (found := await answer(rig, source, secret)) != status:
        assert time.monotonic() < deadline, f"still {found} instead of {status}"
        await asyncio.sleep(0.05)


async def test_a_source_that_was_added_receives_at_once_until_it_is_disabled(cli: Cli, rig: Rig) -> None:
    secret = new_secret()
    reference = cli.secret("TITHELY_SECRET", secret)
    assert await answer(rig, "tithely-main", secret) == 404
    added = await cli.json("source", "add", "tithely-main", "--platform", "tithely", "--secret", reference)
    assert (added["change"], added["tenant_id"], added["environment_id"]) == ("created", "default", "prod")
    await within_two_seconds(rig, "tithely-main", secret, 202)

    assert (await cli.json("source", "disable", "tithely-main"))["status"] == "disabled"
    await within_two_seconds(rig, "tithely-main", secret, 404)
    assert (await cli.json("source", "enable", "tithely-main"))["status"] == "active"
    await within_two_seconds(rig, "tithely-main", secret, 202)
    assert (await cli.json("source", "remove", "tithely-main"))["status"] == "removed"
    await within_two_seconds(rig, "tithely-main", secret, 404)


async def test_a_secret_comes_from_standard_input_a_variable_or_a_file_and_never_from_an_argument(cli: Cli) -> None:
    secret = new_secret()
    cli.canaries.append(secret)
    add = ("source", "add", "one", "--platform", "tithely")
    refused = await cli.run(*add, "--secret", secret)
    assert refused.code == 2
    assert "a secret is no argument" in refused.error
    nothing = await cli.run(*add, "--secret-stdin", stdin="\n")
    assert (nothing.code, "held no secret" in nothing.error) == (2, True)
    none = await cli.run(*add)
    assert (none.code, "give the secret one way" in none.error) == (2, True)

    await cli.ok(*add, "--secret-stdin", stdin=f"{secret}\n")
    file = cli.write("secret.txt", f"{new_secret()}\n")
    await cli.ok("source", "add", "two", "--platform", "tithely", "--secret", f"file:{file}")
    weak = await cli.run("source", "add", "three", "--platform", "tithely", "--secret-stdin", stdin="whsec_c2hvcnQ=")
    assert (weak.code, weak.error.startswith("config_invalid: source three: secrets: ")) == (1, True)
    assert [source["name"] for source in (await cli.json("source", "list"))["items"]] == ["one", "two"]


async def test_a_source_of_payments_names_its_connection(cli: Cli, rig: Rig) -> None:
    await rig.add_nomod()
    add = ("source", "add", "payments", "--platform", "nomod", "--secret", cli.secret("NOMOD_SECRET", new_secret()))
    unnamed = await cli.run(*add)
    assert (unnamed.code, "connection: is missing" in unnamed.error) == (1, True)
    await cli.ok(*add, "--option", f"connection={NOMOD}", "--option", "report=false")
    assert (await cli.json("source", "show", "payments"))["options"] == {"connection": NOMOD, "report": False}
    for wrong in ("connection", "=x"):
        refused = await cli.run(*add, "--option", wrong)
        assert (refused.code, "--option: write KEY=VALUE" in refused.error) == (2, True)
    unknown = await cli.run(*add, "--option", f"connection={NOMOD}", "--option", "colour=red", "--replace")
    assert (unknown.code, "colour: unknown key" in unknown.error) == (1, True)


async def test_a_source_is_polled_with_a_key_that_is_no_argument(cli: Cli) -> None:
    private = cli.secret("TITHELY_PRIVATE_KEY", "pri_canary_of_polling")
    add = (
        "source", "add", "gifts", "--platform", "tithely", "--secret", cli.secret("TITHELY_SECRET", new_secret()),
        "--option", 'placeholder_emails=["*@tithe.ly"]', "--poll", "public_key=pub_1", "--poll", "organization_id=org_1"
    )  # fmt: skip
    spoken = await cli.run(*add, "--poll", "private_key=pri_spoken")
    assert (spoken.code, "--poll private_key: a secret is no argument" in spoken.error) == (2, True)
    assert "pri_spoken" not in spoken.error
    keyless = await cli.run(*add)
    assert (keyless.code, "poll.private_key: is missing" in keyless.error) == (1, True)
    await cli.ok(*add, "--poll", f"private_key={private}", "--poll", "interval_seconds=60")
    shown = await cli.json("source", "show", "gifts")
    assert shown["options"] == {"placeholder_emails": ["*@tithe.ly"]}
    assert (shown["poll"]["organization_id"], shown["poll"]["interval_seconds"]) == ("org_1", 60)


async def test_a_source_that_is_there_is_changed_only_when_told_so(cli: Cli) -> None:
    reference = cli.secret("TITHELY_SECRET", new_secret())
    add = ("source", "add", "one", "--platform", "tithely", "--secret", reference)
    await cli.ok(*add)
    again = await cli.run(*add, "--api-url", "https://api.example.com")
    assert (again.code, again.error.startswith("conflict: there is a source 'one' already")) == (1, True)
    changed = await cli.json(*add, "--api-url", "https://api.example.com", "--replace")
    assert (changed["change"], changed["fields"]) == ("updated", ["api_url"])


async def test_a_test_event_goes_through_the_door_and_triggers_nothing(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    sent = await cli.json("source", "send-test", SOURCE, "--url", rig.gateway.url)
    assert (sent["accepted"], sent["status"], sent["delivery_status"]) == (True, 202, "ignored")
    delivery = await cli.json("delivery", "show", sent["delivery_id"])
    assert (delivery["event_type"], delivery["jobs"]) == ("ledgergate.test", [])

    table = await cli.ok("source", "list")
    assert SOURCE in table.out
    unreachable = await cli.run("source", "send-test", SOURCE, "--url", "http://127.0.0.1:9")
    assert (unreachable.code, unreachable.error.startswith("gateway_unreachable: ")) == (1, True)
    stranger = await cli.run("source", "send-test", SOURCE, "--url", rig.flexprice.url)
    assert (stranger.code, stranger.err.startswith(("gateway_unreachable: ", "not_found"))) == (1, True)


async def test_a_test_event_tells_why_the_door_refuses_it(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await cli.ok("source", "disable", SOURCE)
    await within_two_seconds(rig, SOURCE, rig.secret, 404)
    refused = await cli.run("source", "send-test", SOURCE, "--url", rig.gateway.url, "--json")
    assert (refused.code, refused.document["accepted"], refused.document["code"]) == (1, False, "source_unknown")
    assert refused.error.startswith("source_unknown: ")


async def test_a_rotated_secret_works_beside_the_old_one_until_that_is_dropped(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    made = await cli.json("source", "rotate-secret", SOURCE)
    assert (made["generated"], made["secrets"]) == (True, 2)
    await within_two_seconds(rig, SOURCE, made["secret"], 202)
    assert await answer(rig, SOURCE, rig.secret) == 202

    third = new_secret()
    cli.canaries.append(third)
    told = await cli.json("source", "rotate-secret", SOURCE, "--secret-stdin", "--drop-old", stdin=third)
    assert told == {"name": SOURCE, "generated": False, "secrets": 1}
    await within_two_seconds(rig, SOURCE, rig.secret, 401)
    assert await answer(rig, SOURCE, made["secret"]) == 401
    assert await answer(rig, SOURCE, third) == 202

    weak = await cli.run("source", "rotate-secret", SOURCE, "--secret-stdin", stdin="whsec_c2hvcnQ=")
    assert (weak.code, weak.error.startswith("config_invalid: secret 1: has ")) == (1, True)
    audit = (await cli.json("audit", "list", "--action", "source.secret_rotated"))["items"]
    assert [entry["actor"] for entry in audit] == ["cli", "cli"]


async def test_a_generated_secret_is_printed_alone_on_stdout(cli: Cli) -> None:
    made = await cli.ok("source", "add", "one", "--platform", "tithely", "--generate-secret")
    assert made.out.startswith("whsec_")
    assert len(made.out.splitlines()) == 1
    token = await cli.ok("source", "rotate-secret", "one")
    assert token.out.startswith("whsec_")
    assert token.out != made.out


async def test_refused_requests_show_with_their_reason(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    assert await answer(rig, SOURCE, new_secret()) == 401
    deadline = time.monotonic() + PATIENCE
    while not (shown := await cli.json("source", "show", SOURCE))["rejections"] or shown["last_rejected"] is None:
        assert time.monotonic() < deadline, "the refusal was not written down"
    assert shown["last_rejected"]["reason"] == "signature_mismatch"
    assert [each["reason"] for each in shown["rejections"]] == ["signature_mismatch"]
    table = await cli.ok("source", "show", SOURCE)
    assert "Refused requests" in table.out


async def test_tenants_filter_lists_and_hide_what_is_not_theirs(cli: Cli) -> None:
    reference = cli.secret("TITHELY_SECRET", new_secret())
    for tenant in ("one", "two"):
        add = ("source", "add", f"source-{tenant}", "--platform", "tithely", "--secret", reference)
        await cli.ok(*add, "--tenant-id", tenant)
    assert len((await cli.json("source", "list"))["items"]) == 2
    mine = (await cli.json("source", "list", "--tenant-id", "one"))["items"]
    assert [source["name"] for source in mine] == ["source-one"]
    other = await cli.run("source", "remove", "source-two", "--tenant-id", "one")
    assert (other.code, other.error.startswith("not_found: there is no source 'source-two'")) == (1, True)
