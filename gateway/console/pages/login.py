"""Logging in with an API key, logging out, and the admin key's choice of tenant and environment."""

from aiohttp import web

from gateway.console.visit import ROOT, Visit
from gateway.console.words import WARN
from gateway.errors import KeyMissingError, TooManyRequestsError
from storage.records import EVERYWHERE, Scope

MAX_KEY = 500


async def show(visit: Visit) -> web.StreamResponse:
    """Show the form; who is logged in goes on."""
    if visit.caller is not None:
        return visit.go(_inside(visit.asked("next")))
    return await visit.page("login.html", next=_inside(visit.asked("next")), wrong=None)


async def log_in(visit: Visit) -> web.StreamResponse:
    """Open a session for a key. Wrong keys are counted, and too many cost time."""
    throttle, address = visit.console.throttle, visit.request.remote
    wanted = _inside(visit.form.text("next"))
    wait = throttle.wait(address)
    if wait and not throttle.trusts(address):
        error = TooManyRequestsError(retry_after=wait)
        answer = await visit.page(
            "login.html", status=error.status, next=wanted, wrong=f"Too many wrong keys. Wait {wait:.0f} seconds."
        )
        answer.headers["Retry-After"] = f"{wait:.0f}"
        return answer
    try:
        reference = await visit.console.access.reference(visit.form.text("key")[:MAX_KEY])
    except KeyMissingError:
        throttle.wrong(address)
        return await visit.page("login.html", status=401, next=wanted, wrong="This key is unknown or was revoked.")
    throttle.right(address)
    session = visit.console.sessions.open(reference)
    visit.caller = await visit.console.sessions.caller(session)
    visit.session = session
    scopes = visit.scopes()
    if len(scopes) == 1:
        session = visit.console.sessions.choose(session, scopes[0])
    answer = visit.go(wanted)
    visit.write_session(answer, session)
    return answer


async def log_out(visit: Visit) -> web.StreamResponse:
    """End the session, for this cookie and every copy of it."""
    await visit.console.sessions.end(visit.session)
    answer = visit.go("/login?left=1")
    visit.write_session(answer, visit.console.sessions.open())
    return answer


async def choose_scope(visit: Visit) -> web.StreamResponse:
    """Take the tenant and environment that the admin key has chosen; other keys have one and no choice."""
    if not visit.who.everywhere:
        return visit.go("", "Your key belongs to one tenant and environment.", tone=WARN)
    tenant, _, environment = visit.form.get("scope", "").partition("\t")
    scope = Scope(tenant_id=tenant, environment_id=environment) if tenant and environment else EVERYWHERE
    answer = visit.go("")
    visit.write_session(answer, visit.console.sessions.choose(visit.session, scope))
    return answer


def _inside(path: str) -> str:
    """Return a path of the console, whatever the address has asked for."""
    plain = path.isprintable() and path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout"))
    return path if plain and len(path) < 1000 and ROOT not in path.partition("?")[0] else ""
