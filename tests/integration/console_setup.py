"""What the tests of the console share: a browser without a screen, which keeps cookies and fills in forms."""

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
from yarl import URL

from gateway import keys
from gateway.access import Role
from gateway.console.forms import TOKEN_FIELD
from gateway.console.visit import CONSOLE, SESSION_COOKIE
from tests.configuring import ENVIRONMENT, TENANT
from tests.harness import ADMIN_KEY, Rig
from tests.invariants import every

ROOT = "/console"
ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
OTHER_TENANT = "tenant_456"


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, and what it holds unless somebody fills it in."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Reads the forms and the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag == "form":
            self.forms.append(Form(str(given.get("method") or "get").upper(), str(given.get("action") or "")))
        if not self.forms:
            return
        fields = self.forms[-1].fields
        if tag == "input" and name and (given.get("type") != "checkbox" or "checked" in given):
            fields[name] = value
        if tag == "button":
            self.forms[-1].buttons.append(value)
        if tag == "select":
            self._select = name
        if tag == "option" and self._select and ("selected" in given or self._select not in fields):
            fields[self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def html(self) -> str:
        """The text as it came."""
        return self.body.decode()

    @property
    def text(self) -> str:
        """What a person reads, in one line."""
        bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", self.html, flags=re.DOTALL)
        return " ".join(html.unescape(bare).split())

    @property
    def heading(self) -> str:
        """The first heading."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.html, re.DOTALL)
        assert found is not None, self.html[:500]
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[1])).split())

    @property
    def location(self) -> str:
        """Where it leads, on this gateway."""
        return self.headers["Location"]

    @property
    def links(self) -> list[str]:
        """The addresses of this gateway to which it links."""
        reader = _Reader()
        reader.feed(self.html)
        return [
            link for link in (urljoin(self.url, each) for each in reader.links) if URL(link).origin() == self.origin
        ]

    @property
    def origin(self) -> URL:
        """The gateway's own address."""
        return URL(self.url).origin()

    @property
    def forms(self) -> list[Form]:
        """All forms of the page."""
        reader = _Reader()
        reader.feed(self.html)
        return reader.forms

    def form(self, action: str, *, holding: str = "") -> Form:
        """Return the form that goes there, and has a field of this name or a button with this value."""
        for each in self.forms:
            if each.action == ROOT + action and (not holding or holding in each.fields or holding in each.buttons):
                return each
        raise AssertionError(f"no form for {action}: {[each.action for each in self.forms]}")


class Browser:
    """Asks the console of a rig's gateway, with the cookies that it was given."""

    def __init__(self, rig: Rig, session: aiohttp.ClientSession) -> None:
        self.rig, self.session = rig, session
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []
        """Every Set-Cookie header so far."""

    async def ask(
        self, method: str, path: str, data: bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Page:
        """Ask, follow nothing, and return whatever came."""
        url = self.rig.gateway.url + path
        given = dict(headers or {})
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if data is not None:
            given.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self.session.request(
            method, URL(url, encoded=True), data=data, headers=given, allow_redirects=False
        ) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                self._keep(line)
            return Page(url, answer.status, dict(answer.headers), await answer.read())

    async def get(self, path: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Page:
        """Return a page of the console, which must have this status."""
        page = await self.ask("GET", ROOT + path, headers=headers)
        assert page.status == status, (path, page.status, page.text[:500])
        return page

    async def follow(self, page: Page) -> Page:
        """Return the page to which an answer leads."""
        assert page.status == 303, (page.status, page.text[:500])
        found = await self.ask("GET", page.location)
        return await self.follow(found) if found.status == 303 else found

    async def post(
        self, path: str, fields: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Page:
        """Send a form to the console, with this session's token, and return whatever came."""
        given = {TOKEN_FIELD: self.token, **(fields or {})}
        pairs = [(key, one) for key, value in given.items() for one in (value if isinstance(value, list) else [value])]
        return await self.ask("POST", ROOT + path, urlencode(pairs).encode(), headers=headers)

    async def submit(self, page: Page, action: str, *, holding: str = "", **filled: Any) -> Page:
        """Fill in a page's form, send it, and return where that leads, or the page that came instead."""
        form = page.form(action, holding=holding)
        answer = await self.post(action, {**form.fields, **filled})
        return await self.follow(answer) if answer.status == 303 else answer

    async def log_in(self, key: str = ADMIN_KEY, *, next_path: str = "") -> Page:
        """Log in with a key, and return the answer."""
        await self.get("/login")
        return await self.post("/login", {"key": key, "next": next_path})

    @property
    def token(self) -> str:
        """What this session's forms carry."""
        sessions = self.rig.gateway.app[CONSOLE].sessions
        session = sessions.read(self.cookies.get(SESSION_COOKIE))
        return sessions.token(session) if session is not None else ""

    def _keep(self, line: str) -> None:
        self.set_cookies.append(line)
        cookie = SimpleCookie(line)
        for name, morsel in cookie.items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value


@dataclass(slots=True)
class Browsers:
    """Browsers logged in with each kind of key."""

    admin: Browser
    """The admin key, everywhere."""
    viewer: Browser
    operator: Browser
    administrator: Browser
    """A key of the role admin, bound to the tenant of the tests."""
    stranger: Browser
    """A key of the role admin, bound to another tenant."""
    nobody: Browser
    keys: dict[str, str]
    """The keys themselves, by name."""

    def of(self, role: Role) -> Browser:
        """Return who has just this role."""
        return {Role.VIEWER: self.viewer, Role.OPERATOR: self.operator, Role.ADMIN: self.administrator}[role]


@asynccontextmanager
async def browsers(rig: Rig) -> AsyncIterator[Browsers]:
    """Make keys of each role, and log in with them."""
    access = rig.gateway.app[keys.ACCESS]
    made: dict[str, str] = {}
    for name, role, tenant in (
        ("viewer", Role.VIEWER, TENANT),
        ("operator", Role.OPERATOR, TENANT),
        ("administrator", Role.ADMIN, TENANT),
        ("stranger", Role.ADMIN, OTHER_TENANT),
    ):
        row, key = await access.create(name, tenant_id=tenant, environment_id=ENVIRONMENT, role=role, actor="tests")
        made[row.name] = key
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def browser(key: str | None) -> Browser:
            opened = Browser(rig, session)
            if key is not None:
                assert (await opened.log_in(key)).status == 303
            return opened

        yield Browsers(
            admin=await browser(ADMIN_KEY), viewer=await browser(made["viewer"]), keys=made,
            operator=await browser(made["operator"]), administrator=await browser(made["administrator"]),
            stranger=await browser(made["stranger"]), nobody=await browser(None),
        )  # fmt: skip


@asynccontextmanager
async def configured(rig: Rig) -> AsyncIterator[Browsers]:
    """A tenant with a source and a connection; and browsers with each kind of key."""
    await rig.add_flexprice()
    await rig.add_nomod()
    async with browsers(rig) as opened:
        yield opened


async def linked(rig: Rig, **customer: str) -> tuple[str, str]:
    """Have a customer linked; return its id and that of the delivery."""
    made = rig.flexprice.add_customer(**{**ADA, **customer})
    delivery = await rig.finalize(made["id"])
    await rig.finish()
    return made["id"], delivery


async def audited(rig: Rig) -> list[tuple[str, str]]:
    """Return who did what through the console, oldest first."""
    entries = await every(rig.store.list_audit)
    return [(entry.actor, entry.action) for entry in reversed(entries) if entry.actor.startswith("key:")]
