"""A QuickBooks that knows customers alone, configured without a word about invoices: the customer must not suffer."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from aiohttp import web

from storage.records import DeliveryStatus, JobStatus
from tests.harness import QUICKBOOKS, Rig

NOTHING: dict[str, tuple[int, Any]] = {
    "an empty answer": (200, {"QueryResponse": {}}),
    "400 with a fault": (400, {"Fault": {"Error": [{"code": "4001", "Message": "no"}], "type": "ValidationFault"}}),
    "400 without one": (400, {"error": "unknown entity"}),
    "404": (404, {"error": "not found"}),
    "404 as text": (404, None),
    "403 feature not supported": (403, {"Fault": {"Error": [{"code": "5030"}], "type": "ValidationFault"}}),
}


class ThinQuickBooks:
    """Tokens, customers, and one answer for everything else."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body
        self.customers: list[dict[str, Any]] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("/tokens/bearer"):
            return web.json_response({"access_token": "a", "refresh_token": "r", "expires_in": 3600})
        if request.method == "POST" and request.path.endswith("/customer"):
            self.customers.append(await request.json() | {"Id": str(58 + len(self.customers)), "SyncToken": "0"})
            return web.json_response({"Customer": self.customers[-1]})
        if re.search(r"\bfrom\s+Customer\b", request.query.get("query", ""), re.IGNORECASE):
            return web.json_response({"QueryResponse": {"Customer": self.customers} if self.customers else {}})
        if self.body is None:
            return web.Response(status=self.status, text="not found")
        return web.Response(status=self.status, text=json.dumps(self.body), content_type="application/json")


@pytest.fixture(params=NOTHING)
async def thin(request: pytest.FixtureRequest) -> AsyncIterator[ThinQuickBooks]:
    async with ThinQuickBooks(*NOTHING[request.param]) as running:
        yield running


async def test_the_customer_is_synced_and_the_invoice_left_out_with_a_warning(rig: Rig, thin: ThinQuickBooks) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks(
        invoices=True, base_url=thin.url, token_url=f"{thin.url}/oauth2/v1/tokens/bearer", realm_id="1"
    )
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    delivery = await rig.finalize(ada["id"])
    await rig.live(3600)
    assert await rig.linked(ada["id"], QUICKBOOKS) == "58"
    [invoice] = await rig.jobs(kind="ensure_invoice")
    assert (invoice.status, invoice.outcome) == (JobStatus.SUCCEEDED, "ignored")
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    [connection] = (await rig.api("GET", "/api/v1/connections"))[1]["items"]
    assert connection["status"] == "active"
    assert len(connection["warnings"]) == 1
