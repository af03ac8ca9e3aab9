"""Around every page: session, role, cross-site requests, strict headers, and errors as pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from aiohttp import web

from connectors.errors import ConnectorError
from gateway.access import Role
from gateway.console.forms import TOKEN_FIELD, Form, read_form
from gateway.console.visit import CONSOLE, ROOT, SESSION_COOKIE, Visit
from gateway.errors import ForbiddenError, GatewayError, KeyMissingError, problem, status_of
from storage.errors import StorageError

log = structlog.get_logger("ledgergate.console")

Handler = Callable[[Visit], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
LIVE_HEADER = "X-Live"
"""Sent by the script, which wants a status where a person wants the login page."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the console. `needs` is the least role; None is for who has not logged in too.

    `everywhere` is for what shows all tenants at once: the admin key's alone.
    """

    method: str
    path: str
    handler: Handler
    needs: Role | None = Role.VIEWER
    everywhere: bool = False


def guarded(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler for aiohttp."""

    async def handle(request: web.Request) -> web.StreamResponse:
        console = request.app[CONSOLE]
        known = console.sessions.read(request.cookies.get(SESSION_COOKIE))
        visit = Visit(request=request, console=console, session=known or console.sessions.open())
        try:
            answer = await _answer(visit, route, known=known is not None)
        except (GatewayError, ConnectorError, StorageError) as error:
            answer = await error_page(visit, error)
        except Exception:
            log.exception("page_failed", page=route.path)
            answer = await error_page(visit, GatewayError())
        return answer

    return handle


async def forbid(request: web.Request, answer: web.StreamResponse) -> None:
    """Put the strict headers on an answer of the console before its head is sent: of a page, a stream or a download."""
    if request.path in ("/", ROOT) or request.path.startswith(f"{ROOT}/"):
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        answer.headers.setdefault("Cache-Control", "no-store")


async def _answer(visit: Visit, route: Route, *, known: bool) -> web.StreamResponse:
    console, request = visit.console, visit.request
    try:
        visit.caller = await console.sessions.caller(visit.session)
    except KeyMissingError:
        if visit.session.reference:
            visit.session, known = console.sessions.open(), False
        if route.needs is not None:
            return _to_login(visit)
    if route.needs is not None and not visit.who.role.covers(route.needs):
        raise ForbiddenError(f"this needs the role {route.needs}; your key is a {visit.who.role}'s")
    if route.everywhere and not visit.who.everywhere:
        raise ForbiddenError("this shows every tenant: it needs the admin key")
    if route.method == "POST":
        visit.form = await read_form(request)
        _refuse_strangers(visit, visit.form)
    visit.read_note()
    answer = await route.handler(visit)
    if answer.prepared or route.path.startswith("/static/"):
        return answer
    renewed = console.sessions.renewed(visit.session)
    if SESSION_COOKIE not in answer.cookies and (renewed is not None or not known):
        visit.write_session(answer, renewed or visit.session)
    return answer


def _refuse_strangers(visit: Visit, form: Form) -> None:
    """Refuse a form that does not come from a page of this session. Raises ForbiddenError."""
    if visit.request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise ForbiddenError("the form was sent by another site")
    if not visit.console.sessions.is_token(visit.session, form.get(TOKEN_FIELD, "")):
        raise ForbiddenError(
            "the page was open for too long, or belongs to another session: go back, reload, try again"
        )


def _to_login(visit: Visit) -> web.Response:
    request = visit.request
    if request.headers.get(LIVE_HEADER) or request.headers.get("Accept") == "text/event-stream":
        return web.Response(status=401, text="log in again")
    if request.method != "GET":
        return visit.go("/login")
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        # A strict cookie does not come along when another site's link leads here. Asked for again by a page of our
        # own, it does: whoever is logged in arrives, everybody else gets to the login.
        return web.Response(
            text="One moment …", headers={"Refresh": f"0;url={quote(request.path_qs, safe='/?&=%~:@')}"}
        )
    wanted = request.path_qs.removeprefix(ROOT)
    return visit.go(f"/login?next={quote(wanted, safe='')}" if wanted.strip("/") else "/login")


async def error_page(visit: Visit, error: BaseException) -> web.StreamResponse:
    """Return an error as a page: what happened, why, what to do."""
    status = status_of(error)
    if visit.request.headers.get(LIVE_HEADER):
        return web.Response(status=status, text=str(problem(error)["title"]))
    try:
        return await visit.page("error.html", status=status, problem=problem(error))
    except StorageError:
        # The layout itself needs the store. This says the same without it.
        visit.caller = None
        return await visit.page("error.html", status=status, problem=problem(error))
