"""Connections over HTTP. Values are literal: the API resolves no `env:` and no `file:`."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from connectors.errors import ConnectorError
from gateway import keys
from gateway.access import Role
from gateway.addresses import public_url
from gateway.configuration.specs import Scoped
from gateway.errors import AccountChangedError, AlreadyExistsError, ConfigFileError, RequestInvalidError
from gateway.operations.consent_links import VALID
from gateway.operations.times import stamp
from gateway.operations.values import Name, Reason, Text
from gateway.operations.views import Listed
from gateway.web.api.configured import Shown, home_of, paged, take_up
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, ListQuery
from storage.errors import CursorInvalidError, NotFoundError
from storage.records import EVERYWHERE

START = "/oauth/start"


class CircuitView(Shown):
    """Whether a provider is left alone for a while, after failures in a row or by its own word."""

    state: str = Field(description="`closed`: work flows; `open`: nothing is sent; `half_open`: one job probes.")
    failures: int = Field(description="Failures in a row.")
    open_until: str | None
    opened_at: str | None = Field(description="Since when it is not closed.")
    held_until: str | None = Field(description="Until when the provider has asked for nothing.")


class ConnectionView(Shown):
    """A connection. It says which secrets there are, never their values."""

    name: str
    connector: str
    tenant_id: str
    environment_id: str
    status: str = Field(description="`active` or `paused`.")
    pause_reason: str | None = Field(description="An error code, `needs_reauth` among them.")
    pause_detail: str | None
    settings: dict[str, Any] = Field(description="`invoice_sync`, and the public part of `config`.")
    secrets: Sequence[str] = Field(description="The names of the secrets that are stored.")
    account: dict[str, Any] | None = Field(description="The provider's account, as the last check saw it.")
    circuit: CircuitView
    warnings: Sequence[str] = Field(description="What jobs have met and an operator should know.")
    created_at: str
    updated_at: str


class ConnectionsQuery(ListQuery):
    """Which connections."""

    connector: Text | None = None
    status: Text | None = None


class Sync(Given):
    """What finalized invoices bring to the connection."""

    outbound: bool = Field(default=False, description="Their customers, and themselves where the connector can.")
    customer_only: bool = Field(default=False, description="Their customers only.")


class ConnectionSettings(Given):
    """What a connection is made of, but its name."""

    connector: Text = Field(description="`nomod`, `quickbooks`, or a plugin's name.")
    tenant_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    environment_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    invoice_sync: Sync = Sync()
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="The connector's own settings; secrets that are left out stay, null drops one.",
    )


class NewConnection(ConnectionSettings):
    """A new connection."""

    name: Name


class Pause(Given):
    """Why a connection is paused."""

    reason: Reason | None = None


class Removed(Shown):
    """What became of a removed connection."""

    name: str
    status: str
    revoked: bool | None = Field(description="Whether its tokens were revoked; null where there were none.")
    warning: str | None
    cancelled_jobs: int
    running_jobs: int


class ConnectionTested(Shown):
    """The account behind the credentials."""

    connection: str
    account_id: str
    name: str
    details: dict[str, str]
    warnings: Sequence[str]
    checked_at: str


class Authorize(Shown):
    """Where a person agrees to the connection."""

    authorize_url: str = Field(description="Good for one visit.")
    expires_at: str


@endpoint("GET", "/connections", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_connections(call: Call, *, query: ConnectionsQuery) -> Listed[ConnectionView]:
    """List connections, by name."""
    found = [ConnectionView.model_validate(view) for view in await call.operations.connections.list(call.scope)]
    chosen = [
        each for each in found if query.connector in (None, each.connector) and query.status in (None, each.status)
    ]  # fmt: skip
    return paged(chosen, lambda each: each.name, limit=query.limit, cursor=query.cursor)


@endpoint("POST", "/connections", role=Role.ADMIN, status=201, problems=(ConfigFileError, AlreadyExistsError))
async def create_connection(call: Call, *, body: NewConnection) -> ConnectionView:
    """Add a connection."""
    if any(view["name"] == body.name for view in await call.operations.connections.list(EVERYWHERE)):
        raise AlreadyExistsError(f"there is a connection {body.name} already")
    return await _put(call, body.name, body)


@endpoint("GET", "/connections/{name}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_connection(call: Call, *, name: Name) -> ConnectionView:
    """Show a connection."""
    return ConnectionView.model_validate(await call.operations.connections.get(name, call.scope))


@endpoint("PUT", "/connections/{name}", role=Role.ADMIN, problems=(ConfigFileError,))
async def put_connection(call: Call, *, name: Name, body: ConnectionSettings) -> ConnectionView:
    """Add a connection, or change the one of this name; secrets that are left out stay."""
    return await _put(call, name, body)


@endpoint("DELETE", "/connections/{name}", role=Role.ADMIN, problems=(NotFoundError,))
async def delete_connection(call: Call, *, name: Name) -> Removed:
    """Remove a connection: its tokens are revoked, its secrets dropped, what waits is cancelled; mappings stay."""
    removed = await call.operations.connections.remove(name, call.scope, actor=call.actor)
    await take_up(call)
    return Removed.model_validate(removed)


@endpoint(
    "POST", "/connections/{name}/test", role=Role.OPERATOR,
    problems=(NotFoundError, ConfigFileError, AccountChangedError, ConnectorError),
)  # fmt: skip
async def test_connection(call: Call, *, name: Name) -> ConnectionTested:
    """Prove that the credentials work, without writing anything, and show the account behind them.

    What the provider objects to is the answer: a problem with the error's own code.
    """
    told = await call.operations.connections.test(name, call.scope)
    await take_up(call)
    return ConnectionTested.model_validate(told)


@endpoint("POST", "/connections/{name}/pause", role=Role.OPERATOR, problems=(NotFoundError,))
async def pause_connection(call: Call, *, name: Name, body: Pause = Pause()) -> ConnectionView:  # noqa: B008 - frozen
    """Let the connection's jobs wait; they burn no attempt."""
    view = await call.operations.connections.pause(name, call.scope, reason=body.reason, actor=call.actor)
    await take_up(call)
    return ConnectionView.model_validate(view)


@endpoint("POST", "/connections/{name}/resume", role=Role.OPERATOR, problems=(NotFoundError,))
async def resume_connection(call: Call, *, name: Name) -> ConnectionView:
    """Let the connection's jobs go on."""
    view = await call.operations.connections.resume(name, call.scope, actor=call.actor)
    await take_up(call)
    call.operations.jobs.wake()
    return ConnectionView.model_validate(view)


@endpoint("POST", "/connections/{name}/authorize", role=Role.ADMIN, problems=(NotFoundError, RequestInvalidError))
async def authorize_connection(call: Call, *, name: Name) -> Authorize:
    """Make a link under which a person agrees to the connection at the provider; good for one visit, ten minutes."""
    row = await call.operations.connections.row(name, call.scope)
    token = await call.operations.consent_links.make(row, actor=call.actor)
    until = call.request.app[keys.CLOCK]() + VALID
    return Authorize(
        authorize_url=f"{public_url(call.request)}{START}/{name}?token={token}", expires_at=stamp(until)
    )  # fmt: skip


async def _put(call: Call, name: str, body: ConnectionSettings) -> ConnectionView:
    home, scope = home_of(call, body.tenant_id, body.environment_id)
    given = {**body.model_dump(exclude={"name", "tenant_id", "environment_id"}), "name": name}
    spec = await call.operations.editing.connection({**given, **home}, scope)
    view = await call.operations.connections.put(spec, actor=call.actor, scope=scope)
    await take_up(call)
    return ConnectionView.model_validate(view)


ENDPOINTS = (
    list_connections, create_connection, get_connection, put_connection, delete_connection, test_connection,
    pause_connection, resume_connection, authorize_connection,
)  # fmt: skip
