"""A caller of the simulated QuickBooks which knows the wire and nothing of our connector."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator

SERVICES = "1"
"""The Id of the item that a company has from the start."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, its JSON read with exact numbers."""

    status: int
    text: str
    content_type: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def error(self) -> tuple[str, str]:
        """Code and Detail of the first error, whichever way it is spelled."""
        body = self.json
        fault = body.get("Fault") or body["fault"]
        first = (fault.get("Error") or fault["error"])[0]
        return first["code"], first.get("Detail", first.get("detail"))

    @property
    def code(self) -> int:
        """Code of the first error."""
        return int(self.error[0])

    def one(self, name: str) -> dict[str, Any]:
        """Return the record of a successful answer."""
        assert self.status == 200, self.text
        record: dict[str, Any] = self.json[name]
        return record


def exact_json(value: Any) -> str:
    """Write JSON with exact numbers, as a careful caller does."""
    match value:
        case dict():
            return "{" + ",".join(f'"{key}":{exact_json(item)}' for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(exact_json, value)) + "]"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def line(amount: str, *, item: str = SERVICES, tax: str | None = None, **detail: Any) -> dict[str, Any]:
    code = {} if tax is None else {"TaxCodeRef": {"value": tax}}
    return {
        "Amount": Decimal(amount), "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": item}} | code | detail,
    }  # fmt: skip


def bill(customer: str, *lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"CustomerRef": {"value": customer}, "Line": list(lines or (line("100.00"),)), **fields}


class Client:
    """Calls with a fresh access token, unless told another."""

    def __init__(self, sim: QuickBooksSimulator, session: aiohttp.ClientSession) -> None:
        self.sim, self.session = sim, session
        self.access, self.refresh_token = sim.issue_tokens()

    async def call(
        self, method: str, path: str, *, json: Any = None, data: bytes | None = None, realm: str | None = None,
        token: str | None = None, accept: str = "application/json", headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        url = f"{self.sim.base_url}/v3/company/{realm or self.sim.realm_id}/{path}"
        sent = {"Accept": accept, "Authorization": f"Bearer {self.access if token is None else token}"}
        query = {"minorversion": "75", **(params or {})}
        async with self.session.request(
            method, url, json=json, data=data, params=query, headers={**sent, **(headers or {})}
        ) as answer:
            return Reply(answer.status, await answer.text(), answer.content_type, dict(answer.headers))

    async def get(self, path: str, **params: str) -> Reply:
        return await self.call("GET", path, params=params)

    async def post(self, path: str, body: Any, **params: str) -> Reply:
        return await self.call("POST", path, json=body, params=params)

    async def create(self, display_name: str, **fields: Any) -> Reply:
        return await self.post("customer", {"DisplayName": display_name, **fields})

    async def query(self, statement: str) -> Reply:
        return await self.get("query", query=statement)

    async def names(self, statement: str, *, entity: str = "Customer") -> list[str]:
        """Run a query and return the DisplayNames (or Names) found."""
        found = (await self.query(statement)).one("QueryResponse").get(entity, [])
        return [row.get("DisplayName", row.get("Name")) for row in found]

    async def oauth(self, form: dict[str, str], *, secret: str | None = None, **headers: str) -> Reply:
        """Post a form to the token endpoint."""
        async with self.session.post(
            self.sim.token_url, data=form, headers={"Authorization": self.basic(secret)} | headers
        ) as answer:
            return Reply(answer.status, await answer.text(), answer.content_type, dict(answer.headers))

    def basic(self, secret: str | None = None) -> str:
        pair = f"{self.sim.client_id}:{self.sim.client_secret if secret is None else secret}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    async def refresh(self, token: str, **headers: str) -> Reply:
        return await self.oauth({"grant_type": "refresh_token", "refresh_token": token}, **headers)

    async def consent(self, **changes: str) -> tuple[int, dict[str, str]]:
        """Visit the consent page; return the status and what the redirect carries."""
        asked = {
            "client_id": self.sim.client_id, "response_type": "code", "scope": "com.intuit.quickbooks.accounting",
            "redirect_uri": "https://gateway.example/callback", "state": "s-1",
        }  # fmt: skip
        wanted = {key: value for key, value in (asked | changes).items() if value}
        async with self.session.get(self.sim.authorize_url, params=wanted, allow_redirects=False) as answer:
            return answer.status, dict(parse_qsl(urlsplit(answer.headers.get("Location", "")).query))


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that the other side does in its own time; give up after some ten seconds."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("waited in vain")
