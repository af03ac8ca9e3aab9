"""The audit: who changed what, and when."""

from aiohttp import web

from gateway.console.filters import times_of
from gateway.console.visit import Visit

LIMIT = 50
MAX_TEXT = 255
FIELDS = ("subject", "action", "actor", "since", "until")


async def show(visit: Visit) -> web.StreamResponse:
    """Show the list; names and actions are exact."""
    asked = {name: visit.asked(name)[:MAX_TEXT] for name in FIELDS if visit.asked(name)}
    found = await visit.operations.audits.list(
        visit.scope, subject=asked.get("subject"), action=asked.get("action"), actor=asked.get("actor"),
        limit=LIMIT, cursor=visit.asked("cursor") or None, **times_of(asked, now=visit.console.now()),
    )  # fmt: skip
    return await visit.page("audit.html", found=found, asked=asked)
