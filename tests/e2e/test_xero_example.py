"""A connector from outside the tree: installed from its wheel beside the gateway's, proven, and put to work."""

import ast
import asyncio
import importlib
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import connectors
import connectors.testing
from connectors.testing import Fault, FaultKind
from gateway.sandbox.flexprice import FINALIZED, FlexpriceSimulator
from gateway.sources.signing import new_secret, sign
from tests.e2e.places import ROOT, Place

pytestmark = pytest.mark.timeout(600)  # what installs and starts processes
PROJECT = ROOT / "examples" / "ledgergate-xero"
OURS = {"connectors", "gateway", "storage"}
PATIENCE = 60.0
CONFIG = """
[[sources]]
name = "billing"
platform = "flexprice"
verification = "standard-webhooks"
secrets = ["env:WEBHOOK_SECRET"]
api_url = "{flexprice}"
api_key = "env:FLEXPRICE_API_KEY"

[[connections]]
name = "xero-sandbox"
connector = "xero"
invoice_sync = {{ outbound = true }}
[connections.config]
client_id = "{client_id}"
client_secret = "env:XERO_CLIENT_SECRET"
refresh_token = "env:XERO_REFRESH_TOKEN"
tenant_id = "{tenant}"
base_url = "{xero}"
identity_url = "{xero}"
"""


@pytest.fixture(scope="module")
def installed(place: Place) -> Place:
    """The environment with the example's wheel in it too."""
    place.install(PROJECT)
    return place


@pytest.fixture
def simulator() -> Iterator[Any]:
    """The example's own simulator module."""
    source = str(PROJECT / "src")
    sys.path.insert(0, source)
    yield importlib.import_module("ledgergate_xero.simulator")
    sys.path.remove(source)


def test_it_is_listed_with_where_it_is_from_and_how_good_it_is(installed: Place, folder: Path) -> None:
    listed = json.loads(installed.run("ledgergate", "connector", "list", "--json", cwd=folder).stdout)["items"]
    xero = next(item for item in listed if item["name"] == "xero")
    assert (xero["distribution"], xero["version"], xero["status"]) == ("ledgergate-xero", "0.1.0", "ok")
    assert xero["quality"] == "gold"
    assert {"consent in the browser", "marks records", "3 names"} <= set(xero["capabilities"])


def test_it_keeps_every_rule_of_the_quality_scale(installed: Place, folder: Path) -> None:
    report = json.loads(installed.run("ledgergate", "connector", "check", "xero", "--json", cwd=folder).stdout)
    assert [each for each in report["rules"] if each["status"] != "passed"] == []
    assert (report["tier"], report["broken"]) == ("gold", 0)


def test_its_own_tests_pass_where_it_is_installed(installed: Place, folder: Path) -> None:
    tests = [str(PROJECT / "tests" / "test_connector.py"), "-p", "no:cacheprovider"]
    done = installed.run("pytest", "-q", "-c", str(PROJECT / "pyproject.toml"), *tests, cwd=folder)
    assert " passed" in done.stdout


def test_it_uses_nothing_that_is_not_public() -> None:
    public = {
        "connectors": set(connectors.__all__),
        "connectors.testing": set(connectors.testing.__all__),
        "connectors.testing.contract": {"ConnectorContract"},
    }
    used = [
        (node.module, alias.name)
        for file in PROJECT.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] in {"connectors", "gateway", "storage"}
        for alias in node.names
    ]
    assert len(used) > 20
    assert [name for name in used if name[1] not in public.get(name[0] or "", set())] == []


async def test_a_finalized_invoice_makes_one_contact_though_the_answer_is_lost(
    installed: Place, folder: Path, simulator: Any
) -> None:
    secret = new_secret()
    async with FlexpriceSimulator() as flexprice, simulator.XeroSimulator() as xero:
        environment = {
            "WEBHOOK_SECRET": secret, "FLEXPRICE_API_KEY": flexprice.api_key, "LEDGERGATE_PORT": "0",
            "XERO_CLIENT_SECRET": simulator.CLIENT_SECRET, "XERO_REFRESH_TOKEN": xero.issue_tokens(),
            "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES": "true",
        }  # fmt: skip
        told = {
            "flexprice": flexprice.api_url,
            "xero": xero.url,
            "client_id": simulator.CLIENT_ID,
            "tenant": simulator.TENANT,
        }
        (folder / "gateway.toml").write_text(CONFIG.format(**told), "utf-8")
        await asyncio.to_thread(installed.run, "ledgergate", "apply", "gateway.toml", cwd=folder, **environment)
        xero.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="PUT *"))
        customer = flexprice.add_customer(name="Ada Lovelace", email="ada@example.com", metadata={"plan": "yearly"})
        invoice = flexprice.add_invoice(customer["id"])
        body = json.dumps(flexprice.event(FINALIZED, invoice["id"])).encode()
        async with _served(installed, folder, environment) as url, aiohttp.ClientSession() as session:
            for message in ("msg_1", "msg_1", "msg_2"):
                headers = sign(secret, message_id=message, timestamp=int(time.time()), body=body, scheme="svix")
                async with session.post(f"{url}/webhooks/billing", data=body, headers=headers) as answer:
                    assert answer.status in {200, 202}
            async with asyncio.timeout(PATIENCE):
                while "xero_customer_id" not in flexprice.customers[customer["id"]]["metadata"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        (contact,) = xero.contacts.values()
        assert (contact["Name"], contact["EmailAddress"]) == ("Ada Lovelace", "ada@example.com")
        assert contact["ContactNumber"] == f"lg:billing:{customer['id']}"
        metadata = flexprice.customers[customer["id"]]["metadata"]
        assert metadata["xero_customer_id"] == contact["ContactID"]
        assert metadata["plan"] == "yearly"
        keys = {call.headers["Idempotency-Key"] for call in xero.calls_of("PUT *")}
        assert (len(xero.calls_of("PUT *")), len(keys)) == (2, 1)


@asynccontextmanager
async def _served(place: Place, folder: Path, environment: dict[str, str]) -> AsyncIterator[str]:
    """Run the gateway until it is no longer needed; give its address."""
    process = await asyncio.create_subprocess_exec(
        str(place.bin / "ledgergate"), "serve", cwd=folder, env=place.environment(**environment),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(rb"http://127\.0\.0\.1:\d+", line := await process.stderr.readline())):
                assert line, "the gateway ended before it listened"
        drained = asyncio.create_task(process.stderr.read())
        yield found[0].decode()
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    await drained
