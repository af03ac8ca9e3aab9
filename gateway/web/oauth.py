"""The two pages of a consent: the one-time link that leads to the provider, and the way back."""

import base64
import hashlib
import html

from aiohttp import web

from connectors.errors import ConnectorError
from gateway import keys
from gateway.addresses import public_url
from gateway.errors import ConsentInvalidError, GatewayError
from gateway.operations.consents import CALLBACK_PATH
from gateway.web import problems
from storage.errors import NotFoundError, StorageError

START_PATH = "/oauth/start/{connection}"
CONSOLE_PATH = "/console"
MAX_CHARS = 4000
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.4rem}code{font-size:.9em}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def start(request: web.Request) -> web.StreamResponse:
    """Use the link up, and send the person to the provider's page."""
    name = request.match_info["connection"]
    operations = request.app[keys.OPERATIONS]
    try:
        await operations.consent_links.use(name, request.query.get("token", "")[:MAX_CHARS])
        redirect_uri = public_url(request) + CALLBACK_PATH
        url = await operations.connections.authorize_start(name, redirect_uri=redirect_uri)
    except (GatewayError, ConnectorError, StorageError) as error:
        return _failed(error)
    return web.Response(status=302, headers={**_HEADERS, "Location": url})


async def callback(request: web.Request) -> web.StreamResponse:
    """Take what the provider sends the person back with, and name the company that is connected now."""
    params = {name: value[:MAX_CHARS] for name, value in request.query.items()}
    try:
        if len(request.query) != len(params):
            raise ConsentInvalidError("a parameter stands twice")
        done = await request.app[keys.OPERATIONS].connections.authorize_finish(params=params)
        await request.app[keys.REGISTRY].refresh()
    except NotFoundError:
        return _failed(ConsentInvalidError("the connection is not there any more"))
    except (GatewayError, ConnectorError, StorageError) as error:
        return _failed(error)
    company = str(done.get("account_name") or done.get("account_id") or "")
    request.app[keys.OPERATIONS].jobs.wake()
    return _page(
        200,
        "Connected",
        f"<p>The connection <code>{html.escape(str(done['connection']))}</code> is now connected with"
        f" <strong>{html.escape(company)}</strong> (account <code>{html.escape(str(done['account_id']))}</code>).</p>"
        + ("<p>It was paused, and goes on.</p>" if done.get("resumed") else "")
        + "<p>If this is not the company you meant, remove the connection and begin again."
        " Otherwise you can close this page.</p>"
        f'<p><a href="{CONSOLE_PATH}/connections/{html.escape(str(done["connection"]))}">Back to the console</a></p>',
    )


def _failed(error: BaseException) -> web.Response:
    told = problems.answer(error)
    shown = {name: html.escape(str(getattr(error, name, ""))) for name in ("code", "title", "detail", "resolution")}
    text = (
        f"<p>{shown['detail'] or shown['title']}</p><p>{shown['resolution']}</p><p>Code:"
        f" <code>{shown['code']}</code></p>"
    )
    return _page(told.status, shown["title"], text)


def _page(status: int, title: str, body: str) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>{body}</html>"
    )
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)


def register(app: web.Application) -> None:
    """Add the pages to an application."""
    app.router.add_get(START_PATH, start, allow_head=False)
    app.router.add_get(CALLBACK_PATH, callback, allow_head=False)
