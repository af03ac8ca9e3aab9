"""The specification's flow through `python run.py` as a process: invoice, customer in Nomod, linked on both sides."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.testing.nomod import NomodSimulator
from connectors.testing.ports import ReservedPort
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sources.signing import new_secret, sign

pytestmark = pytest.mark.timeout(600)  # what installs and starts processes
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
ADMIN_KEY = "the-admin-key-of-this-test"
CONFIGURATION = """
[[sources]]
name = "flexprice-prod"
platform = "flexprice"
tenant_id = "tenant_123"
environment_id = "prod"
verification = "standard-webhooks"
secrets = ["env:FLEXPRICE_WEBHOOK_SECRET"]
api_url = "{flexprice}"
api_key = "env:FLEXPRICE_API_KEY"

[[connections]]
name = "nomod-prod"
connector = "nomod"
tenant_id = "tenant_123"
environment_id = "prod"
invoice_sync = {{ outbound = true }}
config = {{ api_key = "env:NOMOD_API_KEY", base_url = "{nomod}", recovery_lookups = [0.2, 0.5, 1] }}
"""


class Process:
    """The gateway as a process with a database of its own, and what a sender and an operator do with it."""

    def __init__(self, folder: Path, flexprice: FlexpriceSimulator, nomod: NomodSimulator) -> None:
        self.flexprice, self.nomod = flexprice, nomod
        self.secret = new_secret()
        self._folder = folder
        self._port = ReservedPort()
        self.url = f"http://127.0.0.1:{self._port.number}"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = {
            **kept, "LEDGERGATE_DATABASE_URL": f"sqlite:///{folder / 'gateway.db'}",
            "LEDGERGATE_PORT": str(self._port.number), "LEDGERGATE_ADMIN_KEY": ADMIN_KEY,
            "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES": "true",
            "LEDGERGATE_RETRY_SCHEDULE": "0.2,0.5,1,2", "LEDGERGATE_LEASE_SECONDS": "1",
            "FLEXPRICE_WEBHOOK_SECRET": self.secret, "FLEXPRICE_API_KEY": flexprice.api_key,
            "NOMOD_API_KEY": nomod.api_key,
        }  # fmt: skip
        self._running: asyncio.subprocess.Process | None = None
        self.session = aiohttp.ClientSession()

    async def apply(self) -> None:
        """Configure, as the quick start does."""
        file = self._folder / "ledgergate.toml"
        file.write_text(CONFIGURATION.format(flexprice=self.flexprice.api_url, nomod=self.nomod.url))
        done = await self._start("apply", str(file))
        assert await done.wait() == 0

    async def start(self) -> None:
        """Serve, and wait until it is ready."""
        self._running = await self._start("serve")
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with self.session.get(f"{self.url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            assert time.monotonic() < deadline, "the gateway did not start"
            await asyncio.sleep(0.02)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; return its exit code."""
        assert self._running is not None
        self._running.send_signal(how)
        return await self._running.wait()

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        with (self._folder / "gateway.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, str(ROOT / "run.py"), *arguments, env=self._environment, cwd=self._folder, stdout=log,
                stderr=log,
            )  # fmt: skip

    async def finalize(self, invoice: dict[str, Any], message_id: str) -> tuple[int, dict[str, Any]]:
        """Post the signed webhook of a finalized invoice."""
        event = {
            "event_type": "invoice.update.finalized",
            "invoice": {"id": invoice["id"], "customer_id": invoice["customer_id"]},
        }
        body = json.dumps(event).encode()
        headers = sign(self.secret, message_id=message_id, timestamp=int(time.time()), body=body, scheme="svix")
        async with self.session.post(f"{self.url}/webhooks/flexprice-prod", data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask the API as the operator of this tenant."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}", "X-Tenant-ID": "tenant_123", "X-Environment-ID": "prod"}
        async with self.session.get(f"{self.url}/api/v1{path}", headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def ended(self, delivery_id: str) -> str:
        """Wait until a delivery has ended; return how."""
        deadline = time.monotonic() + PATIENCE
        while True:
            status, delivery = await self.get(f"/deliveries/{delivery_id}")
            assert status == 200
            if delivery["status"] != "pending":
                return str(delivery["status"])
            assert time.monotonic() < deadline, delivery
            await asyncio.sleep(0.05)


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[Process]:
    """A configured gateway that runs, between Flexprice and Nomod."""
    async with FlexpriceSimulator() as flexprice, NomodSimulator() as nomod:
        gateway = Process(folder, flexprice, nomod)
        try:
            await gateway.apply()
            await gateway.start()
            yield gateway
        finally:
            if gateway._running is not None and gateway._running.returncode is None:
                await gateway.stop(signal.SIGKILL)
            await gateway.session.close()


async def test_the_six_steps_of_the_specification(tmp_path: Path) -> None:
    """A customer of Flexprice becomes one of Nomod with its first invoice, and stays the same with its second."""
    async with process(tmp_path) as gateway:
        # 1. The customer is in Flexprice and not in Nomod.
        ada = gateway.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com", metadata={"crm": "77"})
        assert gateway.nomod.customers == {}
        assert (await gateway.get(f"/customers/{ada['id']}/integrations"))[0] == 404
        # 2. An invoice is finalized.
        status, answer = await gateway.finalize(gateway.flexprice.add_invoice(ada["id"]), "msg_first")
        assert (status, answer["duplicate"]) == (202, False)
        assert await gateway.ended(answer["delivery_id"]) == "processed"
        # 3. The customer is in Nomod.
        [(record, contact)] = gateway.nomod.customers.items()
        assert (contact["first_name"], contact["email"]) == ("Ada Lovelace", "ada@example.com")
        # 4. It is linked on the gateway's side.
        status, linked = await gateway.get(f"/customers/{ada['id']}/integrations")
        assert (status, linked["customer_id"]) == (200, ada["id"])
        assert linked["integrations"]["nomod"]["nomod_customer_id"] == record
        assert linked["integrations"]["nomod"]["nomod_sync_timestamp"].endswith("Z")
        # 5. It is linked on the platform's side, and nobody's key is lost.
        metadata = gateway.flexprice.customers[ada["id"]]["metadata"]
        assert metadata["nomod_customer_id"] == record
        assert metadata["crm"] == "77"
        # 6. The second invoice uses the same customer.
        _, answer = await gateway.finalize(gateway.flexprice.add_invoice(ada["id"]), "msg_second")
        assert await gateway.ended(answer["delivery_id"]) == "processed"
        assert list(gateway.nomod.customers) == [record]
        assert await gateway.stop() == 0


async def test_kill_9_in_the_middle_of_a_flood_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every acknowledged id is there after the restart and is worked off; nobody exists twice."""
    async with process(tmp_path) as gateway:
        invoices = []
        for number in range(12):
            customer = gateway.flexprice.add_customer(name=f"Customer {number}", email=f"c{number}@example.com")
            invoices += [gateway.flexprice.add_invoice(customer["id"]) for _ in range(5)]
        acknowledged: list[str] = []

        async def post(number: int, invoice: dict[str, Any]) -> None:
            try:
                status, answer = await gateway.finalize(invoice, f"msg_{number}")
            except aiohttp.ClientError:
                return
            assert status == 202
            acknowledged.append(answer["delivery_id"])

        posts = [asyncio.create_task(post(number, invoice)) for number, invoice in enumerate(invoices)]
        while len(acknowledged) < len(invoices) // 3:  # noqa: ASYNC110 - counts what other tasks append
            await asyncio.sleep(0.001)
        await gateway.stop(signal.SIGKILL)
        await asyncio.gather(*posts)
        await gateway.start()
        ends = [await gateway.ended(delivery_id) for delivery_id in acknowledged]
        assert len(ends) >= len(invoices) // 3
        assert set(ends) <= {"processed", "ignored"}
        emails = [contact["email"] for contact in gateway.nomod.customers.values()]
        assert len(emails) == len(set(emails))
