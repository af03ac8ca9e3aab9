"""API keys over HTTP."""

from pydantic import Field

from gateway import keys
from gateway.access import Role
from gateway.configuration.specs import Scoped
from gateway.operations.values import EntityId, Text
from gateway.operations.views import Listed
from gateway.web.api.configured import Shown, home_of, paged
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, ListQuery
from storage.errors import ConflictError, CursorInvalidError, NotFoundError


class KeyView(Shown):
    """A key: whose it is and what it may, never the key itself."""

    key_id: str
    name: str
    tenant_id: str | None
    environment_id: str | None
    role: Role
    status: str = Field(description="`active` or `revoked`.")
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class KeyMade(KeyView):
    """A new key, with the key itself."""

    key: str = Field(description="Shown this once, and kept only as a hash.")


class NewKey(Given):
    """A key to be made."""

    name: Text = Field(max_length=100)
    role: Role
    tenant_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")
    environment_id: Scoped | None = Field(None, description="The one that the headers choose when left out.")


@endpoint("GET", "/keys", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_keys(call: Call, *, query: ListQuery) -> Listed[KeyView]:
    """List keys, revoked ones too, in the order in which they were made."""
    found = [KeyView.model_validate(view) for view in await call.operations.keys.list(call.scope)]
    found.sort(key=lambda each: each.key_id)
    return paged(found, lambda each: each.key_id, limit=query.limit, cursor=query.cursor)


@endpoint("POST", "/keys", role=Role.ADMIN, status=201)
async def create_key(call: Call, *, body: NewKey) -> KeyMade:
    """Make a key. It is shown this once."""
    home, scope = home_of(call, body.tenant_id, body.environment_id)
    made = await call.operations.keys.create(body.name, role=body.role, actor=call.actor, scope=scope, **home)
    await call.request.app[keys.ACCESS].refresh()
    return KeyMade.model_validate(made)


@endpoint("DELETE", "/keys/{key_id}", role=Role.ADMIN, problems=(NotFoundError, ConflictError))
async def revoke_key(call: Call, *, key_id: EntityId) -> KeyView:
    """Revoke the key with this id or name: at once in this process, within two seconds in others."""
    view = await call.operations.keys.revoke(key_id, call.scope, actor=call.actor)
    await call.request.app[keys.ACCESS].refresh()
    return KeyView.model_validate(view)


ENDPOINTS = (list_keys, create_key, revoke_key)
