"""`secret`: the key that encrypts secrets at rest."""

from typing import Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import ACTOR, Opened, run, utc_now
from gateway.cli.options import Json, SecretStdin, command, noun, wrong_usage

app = noun("The key that encrypts the secrets in the database.")


@command(
    app,
    "rotate-key",
    "secret rotate-key",
    "secret rotate-key --finish",
    "secret rotate-key --secret file:new.key --stopped",
)
def rotate_key(
    *,
    secret: Annotated[
        str | None, typer.Option("--secret", help="The new key: env:NAME or file:PATH; without, one is made.")
    ] = None,
    secret_stdin: SecretStdin = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Remove the old key, once every gateway has run on the new one.")
    ] = False,
    stopped: Annotated[
        bool, typer.Option("--stopped", help="Confirm that no gateway runs; needed where the key is a setting.")
    ] = False,
    json: Json = False,
) -> None:
    """Encrypt every stored secret with a new key.

    With a key file (the default) running gateways follow by themselves. Where the key is LEDGERGATE_SECRET_KEY, stop
    them first, and set it to the new one afterwards. The old key file stays beside the new one until --finish.
    """
    from gateway.cli.given import secret as given

    if finish and (secret is not None or secret_stdin):
        wrong_usage("--finish takes no key")
    new = given(secret, from_stdin=secret_stdin)

    async def work(desk: Opened) -> dict[str, Any]:
        from gateway.operations.secret_keys import SecretKeys

        keys = SecretKeys(desk.settings, desk.store, desk.vault, utc_now)
        if finish:
            return await keys.finish(actor=ACTOR)
        if desk.settings.secret_key is not None and not stopped:
            wrong_usage("the key is a setting: stop every gateway, then say so with --stopped")
        return await keys.rotate(new=new, actor=ACTOR)

    done = run(work)
    if json:
        output.print_json(done)
        return
    output.hint(f"{done['rewritten']} stored secrets are encrypted with the new key.")
    if done["restart"]:
        output.hint("Now set LEDGERGATE_SECRET_KEY to the new key, and start the gateways again.")
    elif finish:
        output.hint("The old key is gone.")
    else:
        output.hint(f"The key is in {done['key_file']}; back it up. Later: `ledgergate secret rotate-key --finish`.")
