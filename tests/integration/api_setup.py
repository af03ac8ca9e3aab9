"""What the tests of the HTTP API share: keys of each role and of two tenants, and answers as they came."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from gateway import keys
from gateway.access import Role
from tests.configuring import ENVIRONMENT, TENANT
from tests.harness import ADMIN_KEY, Rig
from tests.waiting import PATIENCE

T = TypeVar("T")
Headers = Mapping[str, str] | None
OTHER_TENANT = "tenant_456"
PROBLEM = "application/problem+json"
API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem, which the answer must be."""
        assert self.headers["Content-Type"] == PROBLEM, (self.status, self.body[:300])
        told = self.json
        assert {"code", "title", "detail", "cause", "resolution"} <= set(told), told
        assert told["status"] == self.status
        return str(told["code"])


class Caller:
    """Asks the API of a rig's gateway with one key."""

    def __init__(self, rig: Rig, session: aiohttp.ClientSession, key: str | None, headers: Headers = None) -> None:
        self.rig, self.session, self.key, self.headers = rig, session, key, headers or {}

    async def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, headers: Headers = None
    ) -> Answer:
        """Ask, and return whatever came. `path` is taken literally: encode it where it needs to be."""
        given = {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **self.headers, **(headers or {})}
        url = URL(self.rig.gateway.url + path, encoded=True)
        data = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        async with self.session.request(method, url, data=data, headers=given, allow_redirects=False) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.read())

    async def get(self, path: str) -> Any:
        """Return what a GET answers, which must go well."""
        answer = await self.ask("GET", API + path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    async def items(self, path: str) -> list[Any]:
        """Return the items of a list that fits one page."""
        page = await self.get(path)
        assert set(page) == {"items", "next_cursor"}
        assert page["next_cursor"] is None
        return list(page["items"])

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Return what a POST answers, which must have this status."""
        answer = await self.ask("POST", API + path, body)
        assert answer.status == status, (path, answer.status, answer.body)
        return answer.json


@dataclass(slots=True)
class Callers:
    """Callers with each kind of key."""

    admin: Caller
    """The admin key, with headers that choose the tenant of the tests."""
    viewer: Caller
    operator: Caller
    administrator: Caller
    """A key of the role admin, bound to the tenant of the tests."""
    stranger: Caller
    """A key of the role admin, bound to another tenant."""
    nobody: Caller
    """No key."""

    def of(self, role: Role) -> Caller:
        """Return who has just this role."""
        return {Role.VIEWER: self.viewer, Role.OPERATOR: self.operator, Role.ADMIN: self.administrator}[role]


@asynccontextmanager
async def callers(rig: Rig) -> AsyncIterator[Callers]:
    """Make keys of each role, and callers with them."""
    access = rig.gateway.app[keys.ACCESS]

    async def key(name: str, role: Role, tenant: str = TENANT) -> str:
        made = await access.create(name, tenant_id=tenant, environment_id=ENVIRONMENT, role=role, actor="tests")
        return made[1]

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        chosen = {"X-Tenant-ID": TENANT, "X-Environment-ID": ENVIRONMENT}
        yield Callers(
            admin=Caller(rig, session, ADMIN_KEY, chosen),
            viewer=Caller(rig, session, await key("viewer", Role.VIEWER)),
            operator=Caller(rig, session, await key("operator", Role.OPERATOR)),
            administrator=Caller(rig, session, await key("administrator", Role.ADMIN)),
            stranger=Caller(rig, session, await key("stranger", Role.ADMIN, OTHER_TENANT)),
            nobody=Caller(rig, session, None),
        )


@asynccontextmanager
async def configured(rig: Rig) -> AsyncIterator[Callers]:
    """A tenant with a source and a connection; and callers with keys of each role."""
    await rig.add_flexprice()
    await rig.add_nomod()
    async with callers(rig) as made:
        yield made


async def exchange(rig: Rig, request: bytes) -> Answer:
    """Send bytes as they are, on a connection of their own that the server closes, and return what came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
    try:
        writer.write(request)
        came = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(first.split(" ", 2)[1]), headers, body)


async def eventually(look: Callable[[], Awaitable[T]], *, patience: float = PATIENCE) -> T:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + patience
    while not (seen := await look()):
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.01)
    return seen
