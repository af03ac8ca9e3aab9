"""One request to the console: who asks, what was sent, and the ways to answer."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp_jinja2
import jinja2
import orjson
from aiohttp import web
from yarl import URL

from gateway.access import DEFAULT_ENVIRONMENT, DEFAULT_TENANT, Access, Caller, Role
from gateway.console.assets import Assets
from gateway.console.attention import look_for_needs
from gateway.console.forms import Form
from gateway.console.live import Streams
from gateway.console.session import Session, Sessions
from gateway.console.words import GOOD
from gateway.errors import KeyMissingError
from gateway.operations.gathered import Operations
from gateway.registry import Registry
from gateway.secrets import Vault
from gateway.settings import Settings
from gateway.throttle import Throttle
from storage import Store
from storage.records import Scope

ROOT = "/console"
SESSION_COOKIE = "ledgergate_session"
NOTE_COOKIE = "ledgergate_note"
NOTE_SECONDS = 120
MAX_NOTE = 600
TEMPLATES: web.AppKey[jinja2.Environment] = web.AppKey("console_templates", jinja2.Environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What the console is made of. `operations` are the same use-cases as the API's."""

    settings: Settings
    store: Store
    vault: Vault
    registry: Registry
    access: Access
    operations: Operations
    sessions: Sessions
    throttle: Throttle
    assets: Assets
    streams: Streams
    now: Callable[[], datetime]


CONSOLE: web.AppKey[Console] = web.AppKey("console", Console)


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request, and what its page needs."""

    request: web.Request
    console: Console
    session: Session
    caller: Caller | None = None
    form: Form = field(default_factory=Form)
    note: Mapping[str, str] | None = None
    """What the last action had to say, shown once."""

    @property
    def who(self) -> Caller:
        """Return who is logged in. Raises KeyMissingError."""
        if self.caller is None:
            raise KeyMissingError
        return self.caller

    @property
    def scope(self) -> Scope:
        """Return the tenant and environment that everything here is confined to."""
        return self.who.scope

    @property
    def home(self) -> tuple[str, str]:
        """Return where something new belongs unless its form says otherwise: what is chosen, or all that there is."""
        known = self.scopes()
        only = known[0] if len(known) == 1 else self.scope
        return only.tenant_id or DEFAULT_TENANT, only.environment_id or DEFAULT_ENVIRONMENT

    @property
    def operations(self) -> Operations:
        """Return the use-cases."""
        return self.console.operations

    def may(self, role: str) -> bool:
        """Whether who is logged in may do what needs this role."""
        return self.caller is not None and self.caller.role.covers(Role(role))

    def part(self, name: str) -> str:
        """Return a part of the address."""
        return self.request.match_info[name]

    def asked(self, name: str) -> str:
        """Return a parameter of the address, empty when it is not there."""
        return self.request.query.get(name, "").strip()

    async def live(self, about: str, **query: str) -> str:
        """Return the address at which this page hears that it has changed since now."""
        since = await self.console.store.change_token()
        return f"{ROOT}/live?{urlencode({'about': about, **query, 'since': since})}"

    async def names(self, customer_ids: Iterable[str | None]) -> dict[str, str]:
        """Return the names of customers, or their e-mail addresses, as far as they are known."""
        wanted = sorted({each for each in customer_ids if each})
        found = await asyncio.gather(*(self.console.store.find_customers(each, self.scope) for each in wanted))
        return {seen.customer_id: seen.name or seen.email for each in found for seen in each if seen.name or seen.email}

    async def take_up(self) -> None:
        """Let this process know what was configured, at once; others take it up within two seconds."""
        await self.console.registry.refresh()

    # Answers -----------------------------------------------------------------------------------------------------

    async def page(self, template: str, *, status: int = 200, **context: Any) -> web.Response:
        """Return a page. The layout's own needs are looked up here, for who is logged in."""
        needs = await look_for_needs(self.console.store, self.scope) if self.caller is not None else None
        told = {
            "visit": self, "caller": self.caller, "token": self.console.sessions.token(self.session),
            "assets": self.console.assets.urls, "needs": needs, "scopes": self.scopes(), "now": self.console.now(),
            "note": self.note, **context,
        }  # fmt: skip
        answer = aiohttp_jinja2.render_template(template, self.request, told, app_key=TEMPLATES, status=status)
        if self.note is not None:
            answer.del_cookie(NOTE_COOKIE, path=ROOT)
        return answer

    def go(self, path: str, said: str = "", *, tone: str = GOOD) -> web.Response:
        """Send the browser to another page of the console, with something to say there."""
        answer = web.Response(status=303, headers={"Location": ROOT + quote(path, safe="/?&=%+,:@~-._")})
        if said:
            payload = orjson.dumps({"sid": self.session.sid, "text": said[:MAX_NOTE], "tone": tone})
            self.write_cookie(answer, NOTE_COOKIE, self.console.sessions.sign("note", payload), seconds=NOTE_SECONDS)
        return answer

    def read_note(self) -> None:
        """Take up what the last action had to say, if it was said to this session."""
        payload = self.console.sessions.unsign("note", self.request.cookies.get(NOTE_COOKIE))
        found = orjson.loads(payload) if payload is not None else {}
        self.note = found if found.get("sid") == self.session.sid else None

    def write_session(self, answer: web.StreamResponse, session: Session) -> None:
        """Give the browser its session."""
        self.session = session
        self.write_cookie(answer, SESSION_COOKIE, self.console.sessions.seal(session))

    def write_cookie(self, answer: web.StreamResponse, name: str, value: str, *, seconds: int | None = None) -> None:
        """Set a cookie which no script and no other site gets; over TLS only, where the console is reached so."""
        answer.set_cookie(
            name, value, path=ROOT, httponly=True, samesite="Strict", secure=self._is_secure(), max_age=seconds
        )

    def _is_secure(self) -> bool:
        public = URL(self.console.settings.public_url or "http://")
        return self.request.secure or (public.scheme == "https" and public.host_port_subcomponent == self.request.host)

    def scopes(self) -> list[Scope]:
        """Return the tenants and environments that the admin key can choose from: those with something in them."""
        if self.caller is None or not self.caller.everywhere:
            return []
        registry = self.console.registry
        homes = {(live.row.tenant_id, live.row.environment_id) for live in registry.sources.values()}
        homes |= {(live.row.tenant_id, live.row.environment_id) for live in registry.connections.values()}
        if self.scope.tenant_id is not None and self.scope.environment_id is not None:
            homes.add((self.scope.tenant_id, self.scope.environment_id))
        return [Scope(tenant_id=tenant, environment_id=environment) for tenant, environment in sorted(homes)]

    def with_query(self, **changes: str | None) -> str:
        """Return this page's address with some parameters changed; None takes one away."""
        query = {key: value for key, value in self.request.query.items() if value}
        for key, value in changes.items():
            query.pop(key, None)
            if value:
                query[key] = value
        return f"{self.request.path}?{urlencode(query)}" if query else self.request.path
