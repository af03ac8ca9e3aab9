"""The stream behind a page: which page it is for, and what makes that page another one."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from gateway.console.pages import deliveries, jobs, needs, overview
from gateway.console.visit import Visit
from gateway.errors import RequestInvalidError

Look = Callable[[Visit], Awaitable[Mapping[str, Any]]]

LOOKS: Mapping[str, Look] = {
    "overview": overview.state,
    "needs": needs.state,
    "deliveries": deliveries.list_state,
    "delivery": deliveries.one_state,
    "jobs": jobs.list_state,
    "job": jobs.one_state,
}


async def stream(visit: Visit) -> web.StreamResponse:
    """Tell a page of changes for as long as the session lasts."""
    look = LOOKS.get(visit.asked("about"))
    if look is None:
        raise RequestInvalidError("there is nothing to follow at this address")
    since = visit.asked("since")
    return await visit.console.streams.serve(
        visit.request, sid=visit.session.sid, since=int(since) if since.isdecimal() and len(since) < 19 else None,
        look=partial(look, visit), still=partial(_still, visit),
    )  # fmt: skip


async def _still(visit: Visit) -> Mapping[str, Any]:
    """Raise KeyMissingError once the session is over."""
    await visit.console.sessions.caller(visit.session)
    return {}
