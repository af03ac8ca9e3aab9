"""Channels over HTTP: where alerts are told. Values are literal: the API resolves no `env:` and no `file:`."""

from collections.abc import Sequence

from pydantic import Field, SecretStr

from gateway.access import Role
from gateway.configuration.channels import MAX_CHANNEL_SECRETS, MAX_RECIPIENTS, AlertKind
from gateway.configuration.specs import Scoped
from gateway.errors import (
    AlertAddressError,
    AlertNotDeliveredError,
    AlreadyExistsError,
    ConfigFileError,
    MailNotConfiguredError,
)
from gateway.operations.channels import ChannelChange, ChannelDetail, ChannelTested, ChannelView
from gateway.operations.values import Name, Text
from gateway.operations.views import Listed
from gateway.web.api.configured import home_of, paged
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, ListQuery
from storage.errors import CursorInvalidError, NotFoundError
from storage.records import EVERYWHERE


class ChannelSettings(Given):
    """What a channel is made of, but its name: a URL with its secrets, or e-mail addresses."""

    tenant_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    environment_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    url: SecretStr | None = Field(None, description="Takes signed webhooks. The one that is stored when left out.")
    secrets: Sequence[SecretStr] | None = Field(
        None, min_length=1, max_length=MAX_CHANNEL_SECRETS,
        description="`whsec_…`; each message is signed with all. Those that are stored when left out.",
    )  # fmt: skip
    to: Sequence[Text] | None = Field(
        None, min_length=1, max_length=MAX_RECIPIENTS, description="E-mail addresses, instead of a URL."
    )
    kinds: Sequence[AlertKind] | None = Field(None, min_length=1, description="All when left out.")


class NewChannel(ChannelSettings):
    """A new channel."""

    name: Name


@endpoint("GET", "/channels", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_channels(call: Call, *, query: ListQuery) -> Listed[ChannelView]:
    """List channels, by name."""
    found = await call.operations.channels.list(call.scope)
    return paged(found, lambda each: each.name, limit=query.limit, cursor=query.cursor)


@endpoint("POST", "/channels", role=Role.ADMIN, status=201, problems=(ConfigFileError, AlreadyExistsError))
async def create_channel(call: Call, *, body: NewChannel) -> ChannelChange:
    """Add a channel."""
    if any(each.name == body.name for each in await call.operations.channels.list(EVERYWHERE)):
        raise AlreadyExistsError(f"there is a channel {body.name} already")
    return await _put(call, body.name, body)


@endpoint("GET", "/channels/{name}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_channel(call: Call, *, name: Name) -> ChannelDetail:
    """Show a channel, with its last messages."""
    return await call.operations.channels.get(name, call.scope)


@endpoint("PUT", "/channels/{name}", role=Role.ADMIN, problems=(ConfigFileError,))
async def put_channel(call: Call, *, name: Name, body: ChannelSettings) -> ChannelChange:
    """Add a channel, or change the one of this name; a URL and secrets that are left out stay."""
    return await _put(call, name, body)


@endpoint("DELETE", "/channels/{name}", role=Role.ADMIN, status=204, problems=(NotFoundError,))
async def delete_channel(call: Call, *, name: Name) -> None:
    """Remove a channel; what waited for it is not sent any more."""
    await call.operations.channels.delete(name, call.scope, actor=call.actor)


@endpoint(
    "POST", "/channels/{name}/test", role=Role.OPERATOR,
    problems=(NotFoundError, AlertNotDeliveredError, AlertAddressError, MailNotConfiguredError),
)  # fmt: skip
async def test_channel(call: Call, *, name: Name) -> ChannelTested:
    """Send a harmless message through the channel now, and tell whether it was taken."""
    return await call.operations.channels.test(name, call.scope, actor=call.actor)


async def _put(call: Call, name: str, body: ChannelSettings) -> ChannelChange:
    home, scope = home_of(call, body.tenant_id, body.environment_id)
    given = body.model_dump(exclude_none=True, exclude={"name", "tenant_id", "environment_id"})
    spec = await call.operations.editing.channel({**given, **home, "name": name}, scope)
    return await call.operations.channels.put(spec, actor=call.actor, scope=scope)


ENDPOINTS = (list_channels, create_channel, get_channel, put_channel, delete_channel, test_channel)
