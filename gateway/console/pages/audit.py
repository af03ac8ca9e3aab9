"""The audit: who changed what, and when."""

from aiohttp import web

from gateway.console.visit import Visit

LIMIT = 50
MAX_TEXT = 255


async def show(visit: Visit) -> web.StreamResponse:
    """Show the list; both filters are exact."""
    asked = {name: visit.asked(name)[:MAX_TEXT] for name in ("subject", "action") if visit.asked(name)}
    found = await visit.operations.audits.list(
        visit.scope, subject=asked.get("subject"), action=asked.get("action"), limit=LIMIT,
        cursor=visit.asked("cursor") or None,
    )  # fmt: skip
    return await visit.page("audit.html", found=found, asked=asked)
