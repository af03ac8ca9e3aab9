"""A stand-in for Xero's contacts and OAuth on loopback, with a ledger of what really happened.

What Xero's pages say is done as they say it; what they leave open is an attribute. Run it by itself to try things out:
`python -m ledgergate_xero.simulator --port 9912`.
"""

import argparse
import asyncio
import base64
import itertools
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web
from connectors.testing import Simulator

TENANT = "70784a63-d24b-46a9-a4db-0e70a274b056"
CLIENT_ID, CLIENT_SECRET = "SANDBOXCLIENTID0123456789ABCDEF0", "sandbox-client-secret-0123456789"
Contact = dict[str, Any]


class XeroSimulator(Simulator):
    """One Xero with one organisation, and one app that may use it."""

    throttled_body = b""
    key_life = 360.0
    """Seconds for which an Idempotency-Key is remembered. How long Xero does was not found on its open pages."""
    archived_hold_names = True
    """Whether archived contacts keep their names from others; Xero's own error speaks of active ones only."""

    def __init__(self, *, clock: Callable[[], float] = time.time, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.clock = clock
        self.contacts: dict[str, Contact] = {}
        self._numbers = itertools.count(1)
        self._answers: dict[str, tuple[float, web.Response]] = {}
        self._access: dict[str, float] = {}
        self._refresh: dict[str, float] = {}
        self._codes: dict[str, str] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the API and the identity service: here they share one address."""
        return [
            web.get("/identity/connect/authorize", self._authorize),
            web.post("/connect/token", self._token),
            web.post("/connect/revocation", self._revoke),
            web.get("/connections", self._connections),
            web.get("/api.xro/2.0/Organisation", self._organisation),
            web.get("/api.xro/2.0/Contacts", self._list),
            web.put("/api.xro/2.0/Contacts", self._create),
            web.post("/api.xro/2.0/Contacts", self._create_or_change),
        ]

    # The ledger, and the hands of people who use Xero itself.

    def add(self, *, name: str, email: str = "", number: str = "", status: str = "ACTIVE") -> Contact:
        """Put in a contact, as a person does."""
        contact = {
            "ContactID": str(uuid.UUID(int=next(self._numbers) << 64 | 0x4000800000000001)), "Name": name,
            "EmailAddress": email, "ContactNumber": number, "ContactStatus": status,
        }  # fmt: skip
        self.contacts[contact["ContactID"]] = contact
        return contact

    def issue_tokens(self) -> str:
        """Return a refresh token, as if a person had just consented."""
        token = secrets.token_urlsafe(32)
        self._refresh[token] = float("inf")
        return token

    def expire_access_tokens(self) -> None:
        """End every access token now."""
        self._access = dict.fromkeys(self._access, 0.0)

    @property
    def tokens(self) -> list[str]:
        """Every token ever given."""
        return [*self._access, *self._refresh]

    # Contacts.

    async def _organisation(self, request: web.Request) -> web.Response:
        self._let_in(request)
        return web.json_response({"Organisations": [{"OrganisationID": TENANT, "Name": "Demo Company (Global)"}]})

    async def _list(self, request: web.Request) -> web.Response:
        self._let_in(request)
        asked = request.query
        found = [row for row in self.contacts.values() if asked.get("includeArchived") == "true" or _is_active(row)]
        if term := asked.get("searchTerm", "").casefold():
            fields = ("Name", "FirstName", "LastName", "ContactNumber", "EmailAddress")
            found = [row for row in found if any(term in row.get(key, "").casefold() for key in fields)]
        if "IDs" in asked:
            wanted = asked["IDs"].casefold().split(",")
            found = [row for row in found if row["ContactID"].casefold() in wanted]
        if "page" in asked:
            size, page = int(asked.get("pageSize", "100")), int(asked["page"])
            found = found[(page - 1) * size : page * size]
        return web.json_response({"Contacts": [{k: v for k, v in row.items() if v} for row in found]})

    async def _create(self, request: web.Request) -> web.Response:
        self._let_in(request)
        return await self._once(request, self._created)

    async def _create_or_change(self, request: web.Request) -> web.Response:
        """POST changes the contact of that name, whoever it is: the trap that this is here for."""
        self._let_in(request)

        def change(sent: Contact) -> web.Response:
            for row in self.contacts.values():
                if _key(row["Name"]) == _key(sent.get("Name", "")):
                    row.update(sent)
                    return web.json_response({"Contacts": [row]})
            return self._created(sent)

        return await self._once(request, change)

    async def _once(self, request: web.Request, work: Callable[[Contact], web.Response]) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 128:
            return _invalid("The Idempotency-Key is longer than 128 characters")
        begun, answer = self._answers.get(key, (float("-inf"), None))
        if key and answer is not None and self.clock() - begun < self.key_life:
            return web.Response(status=answer.status, body=answer.body, content_type="application/json")
        sent = (await request.json())["Contacts"][0]
        answer = work(sent)
        if key:
            self._answers[key] = (self.clock(), answer)
        return answer

    def _created(self, sent: Contact) -> web.Response:
        name = sent.get("Name", "")
        if not name.strip():
            return _invalid("The contact name must be specified")
        if len(name) > 255 or len(sent.get("ContactNumber", "")) > 50:
            return _invalid("A field is too long")
        if not sent.get("EmailAddress", "a@b.cd").isascii() or "@" not in sent.get("EmailAddress", "a@b.cd"):
            return _invalid("Email address must be valid.")
        for row in self.contacts.values():
            if _key(row["Name"]) == _key(name) and (_is_active(row) or self.archived_hold_names):
                return _invalid(
                    f"The contact name {name} is already assigned to another contact. The contact name must be unique "
                    "across all active contacts."
                )
        contact = self.add(name=name)
        contact.update(sent)
        return web.json_response({"Contacts": [contact]})

    def _let_in(self, request: web.Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._access.get(token, 0.0) <= self.clock():
            raise _problem(web.HTTPUnauthorized, "Unauthorized", "TokenExpired: token expired")
        if request.path.startswith("/api.xro/") and request.headers.get("xero-tenant-id") != TENANT:
            raise _problem(web.HTTPForbidden, "Forbidden", "AuthenticationUnsuccessful")

    # OAuth: https://developer.xero.com/documentation/guides/oauth2/auth-flow

    async def _authorize(self, request: web.Request) -> web.Response:
        code = secrets.token_urlsafe(16)
        self._codes[code] = request.query["redirect_uri"]
        where = f"{request.query['redirect_uri']}?code={code}&state={request.query['state']}"
        return web.Response(status=302, headers={"Location": where})

    async def _token(self, request: web.Request) -> web.Response:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {basic}":
            return web.json_response({"error": "invalid_client"}, status=400)
        form = await request.post()
        if form.get("grant_type") == "authorization_code":
            if self._codes.pop(str(form.get("code")), None) != form.get("redirect_uri"):
                return web.json_response({"error": "invalid_grant"}, status=400)
        elif self._refresh.get(str(form.get("refresh_token")), 0.0) <= self.clock():
            return web.json_response({"error": "invalid_grant"}, status=400)
        else:
            # The old one works for 30 minutes more: https://developer.xero.com/faq/oauth2
            old = str(form["refresh_token"])
            self._refresh[old] = min(self._refresh[old], self.clock() + 1800)
        access = secrets.token_urlsafe(48)
        self._access[access] = self.clock() + 1800
        answer = {"access_token": access, "refresh_token": self.issue_tokens(), "expires_in": 1800}
        return web.json_response(answer | {"token_type": "Bearer"})

    async def _revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        self._refresh[str(form.get("token"))] = 0.0
        return web.Response(status=200)

    async def _connections(self, request: web.Request) -> web.Response:
        self._let_in(request)
        return web.json_response(
            [{"tenantId": TENANT, "tenantType": "ORGANISATION", "tenantName": "Demo Company (Global)"}]
        )


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()


def _is_active(row: Contact) -> bool:
    return bool(row["ContactStatus"] == "ACTIVE")


def _invalid(message: str) -> web.Response:
    body = {
        "ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred",
        "Elements": [{"ValidationErrors": [{"Message": message}]}],
    }  # fmt: skip
    return web.json_response(body, status=400)


def _problem(kind: type[web.HTTPException], title: str, detail: str) -> web.HTTPException:
    return kind(text=json.dumps({"Title": title, "Detail": detail}), content_type="application/json")


async def _serve(port: int) -> None:
    async with XeroSimulator(port=port) as simulator:
        print(f"Xero is simulated at {simulator.url}", flush=True)  # noqa: T201 - a program for people
        print(f"refresh token: {simulator.issue_tokens()}", flush=True)  # noqa: T201 - of the sandbox alone
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9912)
    asyncio.run(_serve(parser.parse_args().port))
