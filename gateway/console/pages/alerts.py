"""Alerts: what holds and what is over; and the channels through which people hear of it."""

from typing import Any

from aiohttp import web

from gateway.configuration.channels import AlertKind
from gateway.console.visit import Visit
from gateway.console.words import BAD, WARN
from gateway.errors import AlreadyExistsError, GatewayError, problem, status_of
from gateway.sources.signing import new_secret
from storage.errors import StorageError
from storage.records import EVERYWHERE, AlertStatus

LIMIT = 50
MAX_VALUE = 2000


async def show(visit: Visit) -> web.StreamResponse:
    """Show what holds, what is over, and the channels."""
    alerts, scope = visit.operations.alerts, visit.scope
    return await visit.page(
        "alerts.html", holding=(await alerts.list(scope, status=AlertStatus.OPEN, limit=LIMIT)).items,
        over=(await alerts.list(scope, status=AlertStatus.CLOSED, limit=LIMIT)).items,
        channels=await visit.operations.channels.list(scope),
    )  # fmt: skip


async def show_one(visit: Visit) -> web.StreamResponse:
    """Show one alert, with each message that tells of it."""
    return await visit.page("alert.html", alert=await visit.operations.alerts.get(visit.part("alert_id"), visit.scope))


async def show_channel(visit: Visit) -> web.StreamResponse:
    """Show one channel with its last messages."""
    return await visit.page(
        "channel.html", channel=await visit.operations.channels.get(visit.part("name"), visit.scope)
    )


async def show_form(visit: Visit) -> web.StreamResponse:
    """Show the form of a new channel."""
    return await _form(visit, given={})


async def add(visit: Visit) -> web.StreamResponse:
    """Add a channel. A webhook's secret that is not given is made, and shown this once."""
    given = {name: visit.form.text(name)[:MAX_VALUE] for name in ("name", "how", "to", "tenant_id", "environment_id")}
    raw, made = _spec(visit, given)
    try:
        if any(each.name == raw["name"] for each in await visit.operations.channels.list(EVERYWHERE)):
            raise AlreadyExistsError(f"there is a channel {raw['name']} already; choose another name")
        spec = await visit.operations.editing.channel(raw, visit.scope)
        await visit.operations.channels.put(spec, actor=visit.who.actor, scope=visit.scope)
    except (GatewayError, StorageError) as error:
        return await _form(visit, given=given, error=error)
    if made is not None:
        return await visit.page(
            "secret.html", heading="A new signing secret", secret=made, back=f"/channels/{spec.name}", name=spec.name,
            told="Give it to the receiver now: it proves that an alert comes from here.",
        )  # fmt: skip
    return visit.go(f"/channels/{spec.name}", "Created. Send a test message now.")


async def test(visit: Visit) -> web.StreamResponse:
    """Send a harmless message now, and tell whether it was taken."""
    name = visit.part("name")
    try:
        done = await visit.operations.channels.test(name, visit.scope, actor=visit.who.actor)
    except GatewayError as error:
        said = f"Not taken: {error.title}. {error.detail or ''}".strip()
        return visit.go(f"/channels/{name}", said, tone=BAD)
    return visit.go(f"/channels/{name}", f"The test message {done.message_id} was taken.")


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a channel, once its name was typed."""
    name = (await visit.operations.channels.row(visit.part("name"), visit.scope)).name
    if visit.form.text("sure") != name:
        return visit.go(f"/channels/{name}", "Nothing was removed: the name was not typed.", tone=WARN)
    await visit.operations.channels.delete(name, visit.scope, actor=visit.who.actor)
    return visit.go("/alerts", f"Channel {name} is removed; what waited for it is not sent any more.")


def _spec(visit: Visit, given: dict[str, str]) -> tuple[dict[str, Any], str | None]:
    """Return what the form says, and the secret that was made for it."""
    form, made = visit.form, None
    raw: dict[str, Any] = {"name": given["name"], "kinds": form.all("kind")}
    if given["how"] == "email":
        raw["to"] = [part.strip() for part in given["to"].replace("\n", ",").split(",") if part.strip()]
    else:
        secret = form.text("secret")[:MAX_VALUE]
        made = None if secret else new_secret()
        raw |= {"url": form.text("url")[:MAX_VALUE], "secrets": [secret or made]}
    if visit.who.everywhere and form.ticked("all_tenants"):
        return {**raw, "all_tenants": True}, made
    tenant_id, environment_id = visit.home
    home = {"tenant_id": given["tenant_id"] or tenant_id, "environment_id": given["environment_id"] or environment_id}
    return {**raw, **home}, made


async def _form(visit: Visit, *, given: dict[str, str], error: Exception | None = None) -> web.Response:
    tenant_id, environment_id = visit.home
    blank = {"name": "on-call", "how": "webhook", "to": "", "tenant_id": tenant_id, "environment_id": environment_id}
    settings = visit.console.settings
    return await visit.page(
        "channel_form.html", kinds=list(AlertKind), chosen=visit.form.all("kind"),
        given={**blank, **{name: value for name, value in given.items() if value}},
        mails=settings.smtp_url is not None and settings.smtp_from is not None,
        error=problem(error) if error else None, status=status_of(error) if error else 200,
    )  # fmt: skip
