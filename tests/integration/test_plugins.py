"""Strangers' plugins: a broken one that nobody uses stops nothing, one in use pauses its connections, and says why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors import Connector
from gateway import keys
from gateway.app import Gateway
from gateway.configuration.files import File
from gateway.configuration.specs import ConnectionSpec, InvoiceSync, SourceSpec
from gateway.errors import PluginError
from gateway.plugins import capabilities, connector_plugins, source_plugins
from gateway.settings import Settings
from gateway.sources.base import Verification
from gateway.sources.signing import new_secret
from tests.integration.plugin_setup import GOOD, connector, distribution, installed

BROKEN = {
    "fails to import": "raise RuntimeError('no luck')",
    "ends the process": "raise SystemExit(3)",
    "has no such class": "",
    "is no connector": "class Plugged: pass",
    "is not complete": "from connectors import Connector\nclass Plugged(Connector): name = 'plugged'",
    "is of another version": GOOD + "    api_version = 99\n",
    "calls itself otherwise": GOOD.replace('name = "plugged"', 'name = "somebody_else"'),
}
REASONS = {
    "fails to import": "fails to import: RuntimeError",
    "ends the process": "fails to import: SystemExit",
    "has no such class": "fails to import: AttributeError",
    "is no connector": "is no complete Connector",
    "is not complete": "is no complete Connector",
    "is of another version": "was written for interface version 99, this is 1",
    "calls itself otherwise": "calls itself 'somebody_else'",
}
UNMAKEABLE = (
    GOOD
    + """
    def __init__(self, config, host):
        raise ValueError(f"cannot use {config.api_key.get_secret_value()}")
"""
)
KEY = "sk_test_canary00.0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory whose distributions are installed."""
    found = tmp_path / "packages"
    found.mkdir()
    with installed(found):
        yield found


def test_a_stranger_s_connector_is_found_and_loaded_like_ours(folder: Path) -> None:
    connector(folder, GOOD)
    plugins = connector_plugins()
    (found,) = (found for found in plugins.found() if found.name == "plugged")
    assert (found.distribution, found.version) == ("ledgergate-plugged", "1.2")
    kind = plugins.load("plugged")
    assert issubclass(kind, Connector)
    assert {"verifies hints", "upkeep"} <= set(capabilities(kind))


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_plugin_is_listed_and_refused_with_the_reason_and_ours_still_load(way: str, folder: Path) -> None:
    connector(folder, BROKEN[way])
    plugins = connector_plugins()
    assert plugins.names() == ["nomod", "plugged", "quickbooks"]
    with pytest.raises(PluginError, match=REASONS[way]):
        plugins.load("plugged")
    assert plugins.load("nomod").name == "nomod"


def test_two_plugins_of_one_name_are_both_refused_and_both_named(folder: Path) -> None:
    connector(folder, GOOD)
    connector(folder, GOOD, distribution_name="ledgergate-other")
    connector(folder, GOOD.replace("plugged", "nomod"), name="nomod", distribution_name="ledgergate-third")
    with pytest.raises(PluginError, match=r"more than one plugin: .*ledgergate_plugged:Plugged"):
        connector_plugins().load("plugged")
    with pytest.raises(PluginError, match=r"more than one plugin: connectors\.nomod:NomodConnector, ledgergate_third"):
        connector_plugins().load("nomod")
    assert connector_plugins().load("quickbooks").name == "quickbooks"


def test_a_source_is_checked_the_same_way(folder: Path) -> None:
    code = "class Plugged: platform = 'plugged'"
    entries = {"ledgergate.sources": {"plugged": "ledgergate_source:Plugged"}}
    distribution(folder, "ledgergate-source", module="ledgergate_source", code=code, entries=entries)
    with pytest.raises(PluginError, match="is no complete Source"):
        source_plugins().load("plugged")
    assert source_plugins().load("tithely").platform == "tithely"


def settings(tmp_path: Path) -> Settings:
    database = f"sqlite:///{tmp_path / 'gateway.db'}"
    return Settings(database_url=database, port=0, allow_private_addresses=True, secret_key=SecretStr("k" * 32))


async def configured(tmp_path: Path, *connectors: str) -> None:
    """A gateway that has been running with these connectors, and is stopped again."""
    source = SourceSpec(
        name="church", platform="tithely", verification=Verification.STANDARD_WEBHOOKS,
        secrets=(SecretStr(new_secret()),),
    )  # fmt: skip
    outbound, config = InvoiceSync(outbound=True), {"api_key": KEY}
    connections = tuple(
        ConnectionSpec(name=f"{name}-1", connector=name, invoice_sync=outbound, config=config) for name in connectors
    )
    async with Gateway(settings(tmp_path)) as gateway:
        await gateway.app[keys.CONFIGURATION].apply(File(sources=(source,), connections=connections), actor="test")


async def statuses(gateway: Gateway) -> dict[str, tuple[str, str | None, str | None]]:
    rows = await gateway.app[keys.STORE].list_connections()
    return {row.name: (row.status, row.pause_reason, row.pause_detail) for row in rows}


def replace_plugin(folder: Path, code: str) -> None:
    """Upgrade the plugin, as pip does beside a gateway that is stopped."""
    (folder / "ledgergate_plugged.py").write_text(code, "utf-8")


async def restarted(folder: Path, tmp_path: Path) -> dict[str, tuple[str, str | None, str | None]]:
    with installed(folder):  # forgets what was imported
        pass
    with installed(folder):
        async with Gateway(settings(tmp_path)) as gateway:
            return await statuses(gateway)


@pytest.mark.parametrize("way", BROKEN)
async def test_a_broken_plugin_in_use_pauses_its_connections_with_the_reason_and_no_others(
    way: str, folder: Path, tmp_path: Path
) -> None:
    connector(folder, GOOD)
    await configured(tmp_path, "nomod", "plugged")
    replace_plugin(folder, BROKEN[way])
    told = await restarted(folder, tmp_path)
    assert told["nomod-1"] == ("active", None, None)
    status, reason, detail = told["plugged-1"]
    assert (status, reason) == ("paused", "plugin_unusable")
    assert REASONS[way] in (detail or "")


async def test_a_broken_plugin_that_nobody_uses_stops_nothing(folder: Path, tmp_path: Path) -> None:
    connector(folder, BROKEN["ends the process"])
    await configured(tmp_path, "nomod")
    assert await restarted(folder, tmp_path) == {"nomod-1": ("active", None, None)}


async def test_a_plugin_that_cannot_be_made_pauses_its_connection_and_says_where_without_its_secrets(
    folder: Path, tmp_path: Path, capsys: Any, caplog: Any
) -> None:
    connector(folder, GOOD)
    await configured(tmp_path, "nomod", "plugged")
    replace_plugin(folder, UNMAKEABLE)
    told = await restarted(folder, tmp_path)
    assert told["nomod-1"][0] == "active"
    assert told["plugged-1"] == (
        "paused", "plugin_unusable", "'plugged' cannot be made: ValueError at ledgergate_plugged.py:9"
    )  # fmt: skip
    shown = capsys.readouterr()
    assert KEY not in shown.out + shown.err + caplog.text + str(told)


async def test_a_plugin_that_is_gone_pauses_its_connection_with_the_reason(folder: Path, tmp_path: Path) -> None:
    connector(folder, GOOD)
    await configured(tmp_path, "plugged")
    for path in folder.rglob("entry_points.txt"):
        path.unlink()
    status, reason, detail = (await restarted(folder, tmp_path))["plugged-1"]
    assert (status, reason) == ("paused", "plugin_unusable")
    assert "is not installed" in (detail or "")
