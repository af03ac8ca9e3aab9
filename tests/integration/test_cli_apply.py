"""`apply`: from a TOML file into the database, all or nothing, twice the same, and never an old token."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway.sources.signing import new_secret
from tests.integration.cli_setup import Cli, quickbooks_toml


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(folder=tmp_path, database=tmp_path / "apply.db")


@pytest.fixture
async def intuit() -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as simulator:
        yield simulator


def configuration(cli: Cli, *, header: str = "") -> str:
    """The file of the documentation, shortened."""
    webhook = cli.secret("FLEXPRICE_WEBHOOK_SECRET", new_secret())
    platform = cli.secret("FLEXPRICE_API_KEY", "canary-flexprice-api-key")
    nomod = cli.secret("NOMOD_API_KEY", "canary-nomod-api-key")
    return f"""
[[sources]]
name = "flexprice-prod"
platform = "flexprice"
tenant_id = "tenant_123"
environment_id = "prod"
verification = "standard-webhooks"
secrets = ["{webhook}"]
api_url = "https://us.api.flexprice.io/v1"
api_key = "{platform}"
{header}
[[connections]]
name = "nomod-prod"
connector = "nomod"
tenant_id = "tenant_123"
environment_id = "prod"
invoice_sync = {{ outbound = true }}
config = {{ api_key = "{nomod}" }}
"""


async def test_a_source_is_verified_by_standard_webhooks_where_nothing_else_is_said(cli: Cli) -> None:
    text = configuration(cli).replace('verification = "standard-webhooks"\n', "")
    assert (await cli.json("apply", cli.write("gateway.toml", text)))["changed"] == 2
    assert (await cli.json("source", "show", "flexprice-prod"))["verification"] == "standard-webhooks"


async def test_a_file_is_applied_shown_and_a_second_time_changes_nothing(cli: Cli) -> None:
    file = cli.write("gateway.toml", configuration(cli))
    planned = await cli.json("apply", file, "--dry-run")
    assert [change["change"] for change in planned["changes"]] == ["created", "created"]
    assert planned["dry_run"] is True
    assert (await cli.json("source", "list"))["items"] == []

    first = await cli.json("apply", file)
    assert [(change["kind"], change["name"], change["change"]) for change in first["changes"]] == [
        ("source", "flexprice-prod", "created"),
        ("connection", "nomod-prod", "created"),
    ]
    table = await cli.ok("apply", file)
    assert table.out.count("unchanged") == 2
    assert "0 of 2" in table.err

    source = await cli.json("source", "show", "flexprice-prod")
    assert source["url"].endswith("/webhooks/flexprice-prod")
    assert (source["status"], source["verification"], source["secrets"]) == ("active", "standard-webhooks", 1)
    assert source["has_api_key"] is True
    connection = await cli.json("connection", "show", "nomod-prod")
    assert (connection["status"], connection["secrets"]) == ("active", ["api_key"])
    assert connection["settings"]["invoice_sync"] == {"outbound": True}


async def test_what_differs_is_named_and_what_the_file_leaves_out_stays(cli: Cli) -> None:
    text = configuration(cli)
    await cli.ok("apply", cli.write("gateway.toml", text))
    cli.secret("NOMOD_API_KEY", "another-canary-nomod-key")
    only_nomod = "[[connections]]" + text.split("[[connections]]")[1]
    changed = await cli.json("apply", cli.write("less.toml", only_nomod))
    assert changed["changes"] == [
        {"kind": "connection", "name": "nomod-prod", "change": "updated", "fields": ["api_key"]}
    ]
    assert [source["name"] for source in (await cli.json("source", "list"))["items"]] == ["flexprice-prod"]


@pytest.mark.parametrize(
    "change, told",
    [
        (("[[sources]]", "[[sources"), "gateway.toml"),
        (('platform = "flexprice"', 'platform = "flexprice"\nplattform = "x"'), "sources[0].plattform: unknown key"),
        (('platform = "flexprice"', 'platform = "lago"'), "'lago' is not known"),
        (("env:FLEXPRICE_API_KEY", "env:NOT_SET"), "environment variable NOT_SET is not set"),
        (("env:FLEXPRICE_API_KEY", "file:/nowhere/key"), "file key cannot be read"),
        (('api_key = "env:NOMOD_API_KEY"', 'api_key = "env:NOMOD_API_KEY", colour = "red"'), "colour: unknown key"),
        (('name = "nomod-prod"', 'name = "Nomod Prod"'), "connections[0].name"),
    ],
)
async def test_a_file_that_is_wrong_anywhere_changes_nothing(cli: Cli, change: tuple[str, str], told: str) -> None:
    text = configuration(cli)
    assert change[0] in text
    result = await cli.run("apply", cli.write("gateway.toml", text.replace(*change)), "--json")
    assert (result.code, result.out) == (1, "")
    assert result.error.startswith("config_invalid: ")
    assert told in result.error
    assert (await cli.json("source", "list"))["items"] == []
    assert (await cli.json("connection", "list"))["items"] == []


async def test_a_missing_file_is_one_line(cli: Cli) -> None:
    result = await cli.run("apply", str(cli.folder / "nowhere.toml"))
    assert (result.code, result.out) == (1, "")
    assert "nowhere.toml cannot be read" in result.error


async def test_a_rotated_refresh_token_is_not_put_back_unless_the_file_has_another(
    cli: Cli, intuit: QuickBooksSimulator
) -> None:
    """Intuit punishes a second use of a rotated token: `apply` of the same file must not bring it back."""
    _, token = intuit.issue_tokens()
    reference = cli.secret("QBO_REFRESH_TOKEN", token)
    more = f'realm_id = "{intuit.realm_id}"\nrefresh_token = "{reference}"'
    file = cli.write("qbo.toml", quickbooks_toml(cli, intuit, more=more))
    await cli.ok("apply", file)
    account = await cli.json("connection", "test", "qbo-prod")
    assert account["account_id"] == intuit.realm_id
    chain = intuit.oauth.chains[0]
    assert chain.refreshes == 1

    assert (await cli.json("apply", file))["changed"] == 0
    await cli.ok("connection", "test", "qbo-prod")
    assert (chain.refreshes, chain.reused) == (1, 0)

    _, fresh = intuit.issue_tokens()
    cli.secret("QBO_REFRESH_TOKEN", fresh)
    assert (await cli.json("apply", file))["changes"][0]["fields"] == ["refresh_token"]
    await cli.ok("connection", "test", "qbo-prod")
    assert (intuit.oauth.chains[1].refreshes, intuit.oauth.chains[1].reused, chain.reused) == (1, 0, 0)


async def test_secrets_are_nowhere_in_the_database_in_plain(cli: Cli) -> None:
    await cli.ok("apply", cli.write("gateway.toml", configuration(cli)))
    content = cli.database.read_bytes()
    assert not [canary for canary in cli.canaries if canary.encode() in content]
