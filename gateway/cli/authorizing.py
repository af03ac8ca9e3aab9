"""`connection authorize`: a person's consent, with a running gateway's callback or by pasting the address back."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from gateway.cli import output
from gateway.cli.opened import run, scope_of
from gateway.cli.options import Environment, Json, Tenant, examples, wrong_usage

if TYPE_CHECKING:
    from gateway.cli.opened import Opened

WAIT_SECONDS = 600.0
LOOK_SECONDS = 1.0
MAX_LINE = 16 * 1024


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples(
        "connection authorize qbo-prod",
        "connection authorize qbo-prod --paste",
        "connection authorize qbo-prod --no-wait --json",
        "connection authorize qbo-prod --finish < redirected.txt",
    )
    app.command("authorize", epilog=epilog)(authorize)


def authorize(
    name: Annotated[str, typer.Argument(help="The connection's name.")],
    *,
    callback_url: Annotated[
        str | None,
        typer.Option("--callback-url", help="Where the provider sends people back to, exactly as registered there."),
    ] = None,
    paste: Annotated[
        bool, typer.Option("--paste", help="Read the address on which the browser has ended from standard input.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the page's address, and stop.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="As --paste, for an address printed before.")] = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Connect an account by a person's consent: open the printed page, agree, and the tokens are stored.

    By default the running gateway takes the answer on its callback (PUBLIC_URL/oauth/callback) while this waits.
    With --paste no gateway need run: copy the address on which the browser ends up, even if that page does not load.
    """
    from gateway.operations.consents import CALLBACK_PATH

    if paste + no_wait + finish > 1:
        wrong_usage("--paste, --no-wait and --finish exclude each other")
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> dict[str, Any]:
        await desk.operations.connections.get(name, scope)
        if finish:
            return await _pasted(desk, name)
        redirect = callback_url or f"{desk.own_url}{CALLBACK_PATH}"
        url = await desk.operations.connections.authorize_start(name, redirect_uri=redirect)
        if not no_wait:
            output.hint(f"Open this page, and agree:\n\n  {url}\n")
        output.hint(f"Its redirect address has to be registered with the app, to the letter: {redirect}")
        if no_wait:
            return {"connection": name, "url": url}
        return await (_pasted(desk, name) if paste else _awaited(desk, name, url))

    done = run(work)
    if json:
        output.print_json(done)
    elif no_wait:
        output.line(done["url"])
    else:
        output.hint(f"Connection {name} is connected with {done['account_name'] or done['account_id']}.")


async def _pasted(desk: "Opened", name: str) -> dict[str, Any]:
    """Take the address from standard input, and do what the callback does."""
    from gateway.errors import ConsentInvalidError

    if sys.stdin.isatty():
        output.hint("Then paste here the address on which the browser has ended:")
    text = (await asyncio.to_thread(sys.stdin.readline, MAX_LINE)).strip()
    params = dict(parse_qsl(urlsplit(text).query, keep_blank_values=True))
    if not params:
        wrong_usage("standard input held no address with an answer (…?code=…&state=…)")
    if params.get("state", "").partition("~")[0] != name:
        msg = f"the address is not the answer to a consent of {name}"
        raise ConsentInvalidError(msg)
    return await desk.operations.connections.authorize_finish(params=params, actor="cli")


async def _awaited(desk: "Opened", name: str, url: str) -> dict[str, Any]:
    """Wait until the gateway's callback has taken the answer."""
    from gateway.errors import ConsentInvalidError

    output.hint("Waiting for the gateway's callback; Ctrl-C stops waiting, and the page stays good for ten minutes.")
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        outcome = await desk.operations.connections.authorize_outcome(name, url=url)
        if outcome is not None and outcome.get("code"):
            output.hint(f"{outcome['code']}: {outcome.get('detail', '')}. See docs/errors.md for what to do.")
            raise typer.Exit(1)
        if outcome is not None:
            return {
                "connection": name, "account_id": outcome["account_id"], "account_name": outcome["account_name"],
            }  # fmt: skip
        await asyncio.sleep(LOOK_SECONDS)
    msg = "nobody came back from the page within ten minutes"
    raise ConsentInvalidError(msg)
