"""OpenAPI 3.1, made from the endpoints' own declarations: what is served cannot differ from what is described."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import TypeAdapter

from connectors.errors import ConnectorError
from gateway.errors import (
    ForbiddenError,
    KeyMissingError,
    MalformedRequestError,
    PayloadTooLargeError,
    RequestInvalidError,
    TooManyRequestsError,
    UnsupportedMediaTypeError,
    status_of,
)
from gateway.operations.views import Problem
from gateway.web.api import elsewhere, page
from gateway.web.api.endpoint import JSON, Endpoint
from gateway.web.authentication import ENVIRONMENT, TENANT
from storage.errors import StoreUnavailableError

OPENAPI_PATH = "/openapi.json"
_REF = "#/components/schemas/{model}"
_ALWAYS = (
    RequestInvalidError, MalformedRequestError, KeyMissingError, ForbiddenError, TooManyRequestsError,
    StoreUnavailableError,
)  # fmt: skip
_WITH_BODY = (PayloadTooLargeError, UnsupportedMediaTypeError)
_SCOPE = [
    {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"Chooses the {what}, for the admin key; for others it must be their own or left out.",
        "schema": {"type": "string", "maxLength": 255},
    }
    for name, what in ((TENANT, "tenant (`default`)"), (ENVIRONMENT, "environment (`prod`)"))
]

Schemas = Mapping[tuple[str, str], Mapping[str, Any]]


class Description:
    """The document, and the page that shows it; made once, when first asked for: a start does not wait for them."""

    def __init__(self, nouns: Mapping[str, Sequence[Endpoint]]) -> None:
        self._nouns = nouns

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The document."""
        return document(self._nouns)

    @cached_property
    def _json(self) -> bytes:
        return orjson.dumps(self.spec)

    @cached_property
    def _page(self) -> str:
        return page.render(self.spec)

    async def document(self, request: web.Request) -> web.Response:
        """Answer with the document."""
        del request
        return web.Response(body=self._json, content_type=JSON, headers={"X-Content-Type-Options": "nosniff"})

    async def page(self, request: web.Request) -> web.Response:
        """Answer with the page."""
        del request
        return web.Response(text=self._page, content_type="text/html", headers=page.HEADERS)


def document(nouns: Mapping[str, Sequence[Endpoint]]) -> dict[str, Any]:
    """Return the OpenAPI document of these endpoints, and of the routes beside them."""
    every = [each for noun in nouns.values() for each in noun]
    schemas, definitions = _schemas(every)
    paths: dict[str, Any] = {}
    for noun, endpoints in nouns.items():
        for each in endpoints:
            paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, noun, schemas, definitions)
    paths.update(elsewhere.PATHS)
    definitions = _used(paths, definitions)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ledgergate",
            "version": version("ledgergate"),
            "description": "No acknowledged webhook lost, no customer doubled. Times are RFC 3339 in UTC. Errors are"
            " `application/problem+json` with a stable `code`.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in _tags(paths)],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "schemas": definitions,
        },
    }


def operations(spec: Mapping[str, Any]) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """Yield method, path and operation of each route in a document."""
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _used(paths: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definitions that are referred to, from the paths or from one another."""
    used: dict[str, Any] = {}
    waiting: list[Any] = [paths]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in used:
                used[name] = definitions[name]
                waiting.append(definitions[name])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return dict(sorted(used.items()))


def _tags(paths: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(tag for methods in paths.values() for each in methods.values() for tag in each["tags"]))


def _schemas(endpoints: Sequence[Endpoint]) -> tuple[Schemas, dict[str, Any]]:
    """Return the schema of each endpoint's parts, and the definitions that they refer to."""
    inputs: list[tuple[str, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        ("problem", "serialization", TypeAdapter(Problem))
    ]
    for each in endpoints:
        inputs.append((f"{each.name}.path", "validation", TypeAdapter(each.path_model)))
        if each.query_model is not None:
            inputs.append((f"{each.name}.query", "validation", TypeAdapter(each.query_model)))
        if each.body_model is not None:
            inputs.append((f"{each.name}.body", "validation", TypeAdapter(each.body_model)))
        if each.adapter is not None:
            inputs.append((f"{each.name}.answer", "serialization", each.adapter))
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    definitions = dict(shared.get("$defs", {}))
    return {(str(name), str(mode)): schema for (name, mode), schema in found.items()}, definitions


def _operation(each: Endpoint, noun: str, schemas: Schemas, definitions: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": each.name,
        "tags": [noun],
        "summary": each.summary,
        "description": f"{each.description} Role: `{each.role}`.".strip(),
        "x-role": str(each.role),
        "parameters": [*_parameters(each, schemas, definitions), *_SCOPE],
        "responses": _responses(each, schemas),
    }
    if each.body_model is not None:
        schema = schemas[f"{each.name}.body", "validation"]
        operation["requestBody"] = {"required": not each.body_optional, "content": {JSON: {"schema": schema}}}
    elif each.consumes:
        kinds = {JSON: {"type": "array", "items": {"type": "object"}}}
        content = {media: {"schema": kinds.get(media, {"type": "string"})} for media in each.consumes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(each: Endpoint, schemas: Schemas, definitions: Mapping[str, Any]) -> list[dict[str, Any]]:
    told = []
    for where in ("path", "query"):
        schema = schemas.get((f"{each.name}.{where}", "validation"), {})
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        for name, of in schema.get("properties", {}).items():
            parameter = {"name": name, "in": where, "required": name in schema.get("required", ())}
            told.append({**parameter, **_described(of)})
    return told


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema and description. In a URL nothing can be null: what may be, is left out instead."""
    kept = {name: value for name, value in schema.items() if name not in ("title", "description", "default")}
    kinds = [kind for kind in kept.pop("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) == 1:
        kept |= kinds[0]
    elif kinds:
        kept["anyOf"] = kinds
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    return {"schema": kept, **({"description": schema["description"]} if "description" in schema else {})}


def _responses(each: Endpoint, schemas: Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {}
    schema = schemas.get((f"{each.name}.answer", "serialization"))
    if each.status == 204:
        told["204"] = {"description": "Done."}
    elif schema is not None:
        for status in (each.status, *(each.sooner[:1] if each.sooner is not None else ())):
            said = "Accepted: it is not done yet." if status == 202 else "Done."
            told[str(status)] = {"description": said, "content": {JSON: {"schema": schema}}}
    else:
        content = {media: {"schema": {} if media == JSON else {"type": "string"}} for media in each.produces}
        told[str(each.status)] = {"description": "Done.", "content": content}
    codes: dict[str, list[str]] = {}
    with_body = _WITH_BODY if each.body_model is not None or each.consumes else ()
    for kind in (*_ALWAYS, *with_body, *each.problems):
        status = "502" if kind is ConnectorError else str(status_of(kind()))
        told_as = "the provider's error, by its code" if kind is ConnectorError else f"`{kind.code}`"
        codes.setdefault(status, []).append(told_as)
    for status, names in sorted(codes.items()):
        answer: dict[str, Any] = {"description": " · ".join(dict.fromkeys(names)), "content": elsewhere.PROBLEM}
        if status in ("429", "503"):
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        told[status] = answer
    return told
