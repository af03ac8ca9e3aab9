"""Sources over HTTP. Values are literal: the API resolves no `env:` and no `file:`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, SecretStr

from gateway import keys
from gateway.access import Role
from gateway.addresses import own_url, public_url
from gateway.configuration.specs import MAX_SECRETS, Scoped
from gateway.errors import AlreadyExistsError, ConfigFileError, GatewayUnreachableError
from gateway.operations.values import Name, Text
from gateway.operations.views import Listed
from gateway.sources.base import Verification
from gateway.web.api.configured import Shown, home_of, paged, take_up
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, ListQuery
from storage.errors import CursorInvalidError, NotFoundError
from storage.records import EVERYWHERE


class LastRejected(Shown):
    """The last request that the source's door has refused."""

    time: str
    reason: str


class PollError(Shown):
    """Why the last look at a platform went wrong."""

    at: str
    code: str
    detail: str


class Polling(Shown):
    """How the looks at a platform for what no webhook told of have gone."""

    last_polled_at: str | None = Field(description="When a look last went well.")
    next_poll_at: str
    watermark: str = Field(description="Up to when everything was found.")
    last_poll_delivered: int = Field(description="How many deliveries the last good look has made.")
    last_poll_error: PollError | None


class SourceView(Shown):
    """A source. It says that there are secrets, never which."""

    name: str
    platform: str
    tenant_id: str
    environment_id: str
    url: str = Field(description="Where the platform posts to.")
    verification: str
    header: str | None
    status: str = Field(description="`active` or `disabled`.")
    problem: str | None = Field(description="Why it cannot receive.")
    api_url: str | None
    has_api_key: bool
    secrets: int = Field(description="How many signing secrets are accepted.")
    poll: dict[str, Any] | None
    polling: Polling | None = Field(description="Looks for what no webhook told of; null before the first.")
    options: dict[str, Any]
    last_accepted_at: str | None
    last_rejected: LastRejected | None
    rejected: dict[str, int] = Field(description="Refused requests, by reason.")
    created_at: str
    updated_at: str


class Rejected(LastRejected):
    """A refused request, without its body."""

    body_bytes: int
    body_sha256: str
    headers: Sequence[tuple[str, str]] = Field(description="Values only where they are neither secret nor signature.")


class SecretUsed(Shown):
    """When one of the secrets last proved a delivery, since the secrets were last changed."""

    number: int = Field(description="From 1, which is the newest.")
    last_used_at: str | None


class SourceDetail(SourceView):
    """A source with the last requests that its door has refused, and the use of its secrets."""

    secrets_used: Sequence[SecretUsed] = Field(description="The accepted secrets, newest first.")
    rejections: Sequence[Rejected]


class SourcesQuery(ListQuery):
    """Which sources."""

    platform: Text | None = None
    status: Text | None = None


class Poll(Given):
    """Polling of Tithely's charges."""

    public_key: str = Field(min_length=1)
    private_key: SecretStr | None = Field(None, description="The one that is stored when left out.")
    organization_id: str = Field(min_length=1)
    interval_seconds: float = Field(300.0, gt=0)
    base_url: str | None = None


class SourceSettings(Given):
    """What a source is made of, but its name."""

    platform: Text = Field(description="`flexprice`, `tirdad`, `tithely`, or a plugin's name.")
    tenant_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    environment_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    verification: Verification
    secrets: Sequence[SecretStr] | None = Field(
        None, min_length=1, max_length=MAX_SECRETS, description="All are tried. Those that are stored when left out."
    )
    header: str | None = Field(None, description="Header that holds the token; `static-header` only.")
    api_url: str | None = None
    api_key: SecretStr | None = Field(None, description="The one that is stored when left out; null drops it.")
    poll: Poll | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class NewSource(SourceSettings):
    """A new source."""

    name: Name
    verification: Verification = Verification.STANDARD_WEBHOOKS
    secrets: Sequence[SecretStr] = Field(min_length=1, max_length=MAX_SECRETS, description="All are tried.")


class Rotate(Given):
    """A new signing secret."""

    secret: SecretStr | None = Field(None, description="Made and shown this once when left out.")
    keep_old: bool = Field(default=True, description="Whether what was accepted before is accepted until you say no.")


class Rotated(Shown):
    """The new secret, where it was made here."""

    name: str
    secret: str | None


class SourceTested(Shown):
    """How the door has answered a signed test event, and what became of it."""

    source: str
    url: str
    event_type: str
    accepted: bool
    status: int
    code: str | None
    detail: str | None
    delivery_id: str | None
    delivery_status: str | None
    reason: str | None


@endpoint("GET", "/sources", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_sources(call: Call, *, query: SourcesQuery) -> Listed[SourceView]:
    """List sources, by name."""
    await _write_down(call)
    found = [_view(call, view) for view in await call.operations.sources.list(call.scope)]
    chosen = [
        each for each in found if query.platform in (None, each.platform) and query.status in (None, each.status)
    ]  # fmt: skip
    return paged(chosen, lambda each: each.name, limit=query.limit, cursor=query.cursor)


@endpoint("POST", "/sources", role=Role.ADMIN, status=201, problems=(ConfigFileError, AlreadyExistsError))
async def create_source(call: Call, *, body: NewSource) -> SourceDetail:
    """Add a source."""
    if any(view["name"] == body.name for view in await call.operations.sources.list(EVERYWHERE)):
        raise AlreadyExistsError(f"there is a source {body.name} already")
    return await _put(call, body.name, body)


@endpoint("GET", "/sources/{name}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_source(call: Call, *, name: Name) -> SourceDetail:
    """Show a source, with the last requests that its door has refused."""
    await _write_down(call)
    return _detail(call, await call.operations.sources.get(name, call.scope))


@endpoint("PUT", "/sources/{name}", role=Role.ADMIN, problems=(ConfigFileError,))
async def put_source(call: Call, *, name: Name, body: SourceSettings) -> SourceDetail:
    """Add a source, or change the one of this name; secrets that are left out stay."""
    return await _put(call, name, body)


@endpoint("DELETE", "/sources/{name}", role=Role.ADMIN, status=204, problems=(NotFoundError,))
async def delete_source(call: Call, *, name: Name) -> None:
    """Remove a source with its secrets; its deliveries, jobs and mappings stay."""
    await call.operations.sources.delete(name, call.scope, actor=call.actor)
    await take_up(call)


@endpoint("POST", "/sources/{name}/disable", role=Role.ADMIN, problems=(NotFoundError,))
async def disable_source(call: Call, *, name: Name) -> SourceView:
    """Answer its senders 404 from now on."""
    view = await call.operations.sources.disable(name, call.scope, actor=call.actor)
    await take_up(call)
    return _view(call, view)


@endpoint("POST", "/sources/{name}/enable", role=Role.ADMIN, problems=(NotFoundError,))
async def enable_source(call: Call, *, name: Name) -> SourceView:
    """Receive again."""
    view = await call.operations.sources.enable(name, call.scope, actor=call.actor)
    await take_up(call)
    return _view(call, view)


@endpoint("POST", "/sources/{name}/rotate-secret", role=Role.ADMIN, problems=(NotFoundError, ConfigFileError))
async def rotate_source_secret(call: Call, *, name: Name, body: Rotate = Rotate()) -> Rotated:  # noqa: B008 - frozen
    """Put a new signing secret before the others, or in their place.

    A secret that is made here is shown this once; one that was given is not shown.
    """
    given = body.secret.get_secret_value() if body.secret is not None else None
    made = await call.operations.sources.rotate_secret(
        name, call.scope, new_secret=given, keep_old=body.keep_old, actor=call.actor
    )
    await take_up(call)
    return Rotated(name=name, secret=made if given is None else None)


@endpoint("POST", "/sources/{name}/test", role=Role.OPERATOR, problems=(NotFoundError, GatewayUnreachableError))
async def test_source(call: Call, *, name: Name) -> SourceTested:
    """Post a really signed event that triggers nothing to this gateway's own door, and tell what became of it."""
    told = await call.operations.sources.send_test(name, call.scope, url=own_url(call.request))
    return SourceTested.model_validate(told)


async def _write_down(call: Call) -> None:
    """Have what happened at the door within the last second written down, so that it shows."""
    app = call.request.app
    await app[keys.QUARANTINE].flush(app[keys.STORE])


async def _put(call: Call, name: str, body: SourceSettings) -> SourceDetail:
    home, scope = home_of(call, body.tenant_id, body.environment_id)
    given = {**body.model_dump(exclude_unset=True, exclude={"name", "tenant_id", "environment_id"}), "name": name}
    if "secrets" in given and given["secrets"] is None:
        del given["secrets"]
    spec = await call.operations.editing.source({**given, **home}, scope)
    view = await call.operations.sources.put(spec, actor=call.actor, scope=scope)
    await take_up(call)
    return _detail(call, view)


def _view(call: Call, view: Mapping[str, Any]) -> SourceView:
    return SourceView.model_validate(_absolute(call, view))


def _detail(call: Call, view: Mapping[str, Any]) -> SourceDetail:
    return SourceDetail.model_validate(_absolute(call, view))


def _absolute(call: Call, view: Mapping[str, Any]) -> dict[str, Any]:
    url = str(view["url"])
    return {**view, "url": public_url(call.request) + url if url.startswith("/") else url}


ENDPOINTS = (
    list_sources, create_source, get_source, put_source, delete_source, disable_source, enable_source,
    rotate_source_secret, test_source,
)  # fmt: skip
