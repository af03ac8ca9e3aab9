"""API keys: made and shown once, listed, revoked."""

from aiohttp import web

from gateway.access import Role
from gateway.console.visit import Visit
from gateway.console.words import BAD
from gateway.errors import GatewayError

MAX_TEXT = 255


async def show(visit: Visit) -> web.StreamResponse:
    """Show the keys of the scope."""
    keys = await visit.operations.keys.list(visit.scope)
    return await visit.page("keys.html", keys=keys, roles=list(Role))


async def create(visit: Visit) -> web.StreamResponse:
    """Make a key, and show it this once."""
    form = visit.form
    try:
        role = Role(form.text("role"))
        made = await visit.operations.keys.create(
            form.text("name")[:MAX_TEXT], role=role, actor=visit.who.actor, scope=visit.scope,
            tenant_id=form.optional("tenant_id"), environment_id=form.optional("environment_id"),
        )  # fmt: skip
    except (GatewayError, ValueError) as error:
        detail = error.detail if isinstance(error, GatewayError) and error.detail else "choose a role"
        return visit.go("/settings/keys", f"No key was made: {detail}.", tone=BAD)
    await visit.console.access.refresh()
    return await visit.page(
        "secret.html", heading="A new API key", secret=made["key"], name=made["name"], back="/settings/keys",
        told=f"It is a {made['role']}'s, for {made['tenant_id']} / {made['environment_id']}.",
    )  # fmt: skip


async def revoke(visit: Visit) -> web.StreamResponse:
    """Revoke a key: it is refused at once here, within two seconds elsewhere, and so are its sessions."""
    gone = await visit.operations.keys.revoke(visit.part("key_id"), visit.scope, actor=visit.who.actor)
    await visit.console.access.refresh()
    return visit.go("/settings/keys", f"{gone['name']} is revoked; its sessions have ended.")
