"""One declaration gives a route and its description: who may call it, what it takes, what it answers."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

from connectors.errors import ConnectorError
from gateway import keys
from gateway.access import Caller, Role
from gateway.errors import ForbiddenError, GatewayError, RequestInvalidError
from gateway.operations.gathered import Operations
from gateway.web import reading
from gateway.web.authentication import authenticate
from storage.errors import StorageError
from storage.records import Scope

PREFIX = "/api/v1"
MAX_BODY_BYTES = 256 * 1024
JSON = "application/json"
KEPT_OUT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Handler = Callable[..., Awaitable[Any]]
Sooner = tuple[int, Callable[[Any], bool]]
"""A status, and whether an answer has it: what was done at once, where the rest is told to come back."""
Known = type[GatewayError] | type[ConnectorError] | type[StorageError]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated request: who asks, and what can be done."""

    caller: Caller
    operations: Operations
    request: web.Request

    @property
    def scope(self) -> Scope:
        """Return the tenant and environment that the call is about."""
        return self.caller.scope

    @property
    def actor(self) -> str:
        """Return who acts, as the audit names it."""
        return self.caller.actor

    @property
    def chosen(self) -> bool:
        """Whether the admin key has left the choice of tenant and environment to the body."""
        named = self.request.headers.keys() & {"X-Tenant-ID", "X-Environment-ID"}
        return self.caller.everywhere and not named


class Endpoint:
    """A route of the API, made from a handler's own annotations.

    The handler takes a `Call`, the path's names as keywords, and `query` or `body` where it has them; it returns what
    its annotation says, or an answer of aiohttp's for what is no JSON.
    """

    def __init__(
        self,
        handler: Handler,
        method: str,
        path: str,
        *,
        role: Role,
        status: int,
        sooner: Sooner | None,
        problems: tuple[Known, ...],
        produces: tuple[str, ...],
        consumes: tuple[str, ...],
        most: int,
    ) -> None:
        hints = get_type_hints(handler, include_extras=True)
        self.handler, self.method, self.path = handler, method, PREFIX + path
        self.role, self.status, self.sooner, self.problems = role, status, sooner, problems
        self.produces, self.consumes, self.most = produces, consumes, most
        parts: dict[str, Any] = {name: (hints[name], ...) for name in re.findall(r"{(\w+)}", path)}
        self.path_model: type[BaseModel] = create_model(f"{handler.__name__}_path", **parts)
        self.query_model: type[BaseModel] | None = hints.get("query")
        self.body_model: type[BaseModel] | None = hints.get("body")
        self.body_optional = "body" in (handler.__kwdefaults__ or {})
        answers = hints["return"]
        self.answers = answers
        raw = isinstance(answers, type) and issubclass(answers, web.StreamResponse)
        self.adapter: TypeAdapter[Any] | None = None if raw or answers is type(None) else TypeAdapter(answers)
        text = (handler.__doc__ or "").strip()
        self.summary, _, rest = text.partition("\n")
        self.description = re.sub(r"\s*\n\s*", " ", rest).strip()

    @property
    def name(self) -> str:
        """Return the operation's name."""
        return self.handler.__name__

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request: key, role, parameters, body, and only then the handler. Raises what becomes a problem."""
        caller = await authenticate(request)
        if not caller.role.covers(self.role):
            raise ForbiddenError(f"this needs the role {self.role}, the key has {caller.role}")
        call = Call(caller=caller, operations=request.app[keys.OPERATIONS], request=request)
        answered = await self.handler(call, **await self._arguments(request))
        if isinstance(answered, web.StreamResponse):
            return answered
        if self.adapter is None:
            return web.Response(status=self.status, headers=KEPT_OUT)
        body = self.adapter.dump_json(answered)
        status = self.sooner[0] if self.sooner is not None and self.sooner[1](answered) else self.status
        return web.Response(status=status, body=body, content_type=JSON, headers=KEPT_OUT)

    async def _arguments(self, request: web.Request) -> Mapping[str, Any]:
        arguments: dict[str, Any] = dict(self._path_of(request))
        if self.query_model is not None:
            arguments["query"] = reading.query_as(self.query_model, request)
        elif request.query:
            raise RequestInvalidError("query: no parameters are taken here")
        if self.consumes:
            return arguments  # the handler reads the body itself
        body = await reading.read(request, most=self.most)
        if self.body_model is not None and (body or not self.body_optional):
            if not body:
                raise RequestInvalidError("body: is missing")
            reading.require_json(request)
            arguments["body"] = reading.body_as(self.body_model, body)
        elif body.strip() not in (b"", b"{}"):
            raise RequestInvalidError("body: none is taken here")
        return arguments

    def _path_of(self, request: web.Request) -> Mapping[str, Any]:
        try:
            path = self.path_model.model_validate(dict(request.match_info))
        except ValidationError as error:
            raise RequestInvalidError(reading.told(error, "path")) from None
        return {name: getattr(path, name) for name in self.path_model.model_fields}


def endpoint(
    method: str,
    path: str,
    *,
    role: Role,
    status: int = 200,
    sooner: Sooner | None = None,
    problems: tuple[Known, ...] = (),
    produces: tuple[str, ...] = (JSON,),
    consumes: tuple[str, ...] = (),
    most: int = MAX_BODY_BYTES,
) -> Callable[[Handler], Endpoint]:
    """Return a decorator that makes an endpoint of a handler. No role is the default: each route says who may call it.

    `sooner` is another status, for the answers that it says. `problems` are what it may answer beside what every route
    may. `consumes` is for handlers that read the body
    themselves, up to `most` bytes.
    """

    def declare(handler: Handler) -> Endpoint:
        return Endpoint(
            handler, method, path, role=role, status=status, sooner=sooner, problems=problems, produces=produces,
            consumes=consumes, most=most,
        )  # fmt: skip

    return declare
