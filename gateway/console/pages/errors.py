"""What an error code means, from the classes themselves: the same text as docs/errors.md."""

from aiohttp import web

from gateway.console.visit import Visit
from gateway.errors import PluginError, catalogue
from gateway.plugins import connector_plugins
from storage.errors import NotFoundError

ACTIONS = {
    "retry": "The job is tried again on the retry schedule.",
    "pause": "The connection is paused; its jobs wait and use up no attempt.",
    "fail": "The job becomes a dead letter, kept until a person retries or cancels it.",
    "review": "A person is asked.",
    "none": "",
}


async def show(visit: Visit) -> web.StreamResponse:
    """Show one code."""
    plugins = connector_plugins()
    for name in plugins.names():
        try:
            plugins.load(name)  # its own errors are known once it is imported
        except PluginError:
            continue
    code = visit.part("code")
    found = next((entry for entry in catalogue() if entry.code == code), None)
    if found is None:
        raise NotFoundError("there is no such error code")
    return await visit.page("error_code.html", entry=found, action=ACTIONS.get(found.action, ""))
