"""What sources, connections and keys share: whose they are, small lists, and changes that are taken up at once."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from gateway import keys
from gateway.operations.views import Listed
from gateway.web.api.endpoint import Call
from storage.cursors import decode, encode
from storage.records import EVERYWHERE, Scope

ItemT = TypeVar("ItemT", bound=BaseModel)


class Shown(BaseModel):
    """Base of what is shown of a configured thing: only what is named here, so that nothing slips through."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)


def home_of(call: Call, tenant_id: str | None, environment_id: str | None) -> tuple[dict[str, str], Scope]:
    """Return the tenant and environment of something to be stored, and the scope in which that is allowed.

    The headers choose; where the admin key has sent none, the body may. The use-case refuses what lies outside.
    """
    scope = EVERYWHERE if call.chosen else call.scope
    tenant, environment = call.scope.tenant_id or "", call.scope.environment_id or ""
    return {"tenant_id": tenant_id or tenant, "environment_id": environment_id or environment}, scope


def paged(items: Sequence[ItemT], name: Callable[[ItemT], str], *, limit: int, cursor: str | None) -> Listed[ItemT]:
    """Return a page of a list that is sorted by name. Raises CursorInvalidError."""
    after = decode(cursor, 1)[0] if cursor is not None else ""
    rest = [item for item in items if name(item) > after]
    page = rest[:limit]
    return Listed(items=page, next_cursor=encode(name(page[-1])) if len(rest) > limit else None)


async def take_up(call: Call) -> None:
    """Let this process know at once; others take the change up within two seconds."""
    await call.request.app[keys.REGISTRY].refresh()
