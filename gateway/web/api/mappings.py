"""Mappings over HTTP."""

from aiohttp import web
from pydantic import Field

from connectors.errors import ConnectorError
from gateway.access import Role
from gateway.errors import RecordTakenError, RecordUnknownError, RequestInvalidError, UnsupportedMediaTypeError
from gateway.operations.mappings import MappingFilter, MappingView
from gateway.operations.transfers import Format, Imported, read_csv, read_json
from gateway.operations.values import EntityId, EntityType, Name, Reason, RecordId, Text
from gateway.operations.views import Listed
from gateway.web import reading
from gateway.web.api.endpoint import JSON, KEPT_OUT, Call, endpoint
from gateway.web.api.lists import Given, ListQuery
from storage.errors import CursorInvalidError, NotFoundError, StorageError
from storage.records import MappingKey, MappingStatus

ONE = "/mappings/{source}/{entity_type}/{entity_id}/{connection}"
CSV = "text/csv"
MAX_IMPORT_BYTES = 16 * 1024 * 1024


class MappingChoice(Given):
    """Which mappings."""

    entity_id: EntityId | None = Field(None, description="The platform's id.")
    connection: Name | None = Field(None, description="The connection that it is linked on.")
    source: Name | None = Field(None, description="The source that it is of.")
    entity_type: EntityType | None = Field(None, description="`customer`, …")
    provider_entity_id: RecordId | None = Field(None, description="The record at the provider.")
    status: MappingStatus | None = Field(None, description="Its state.")
    text: Text | None = Field(
        None, description="An id of the customer or the record, or part of the customer's name or e-mail address."
    )


class MappingsQuery(ListQuery, MappingChoice):
    """Which mappings."""


class ExportQuery(MappingChoice):
    """Which mappings, and how they are written down."""

    format: Format = Format.JSON


class ImportQuery(Given):
    """How an import is done."""

    dry_run: bool = Field(default=False, description="Only check and count.")
    verify: bool = Field(default=False, description="Ask the provider for each record: a request a row.")


class LinkTo(Given):
    """The record that a customer is linked to."""

    provider_entity_id: RecordId
    reason: Reason | None = Field(None, description="Kept in the audit.")


class UnlinkQuery(Given):
    """Why a customer is unlinked."""

    reason: Reason | None = Field(None, description="Kept in the audit.")


@endpoint("GET", "/mappings", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_mappings(call: Call, *, query: MappingsQuery) -> Listed[MappingView]:
    """List mappings, in the order of their keys."""
    return await call.operations.mappings.list(call.scope, _chosen(query), limit=query.limit, cursor=query.cursor)


@endpoint("GET", ONE, role=Role.VIEWER, problems=(NotFoundError,))
async def get_mapping(
    call: Call, *, source: Name, entity_type: EntityType, entity_id: EntityId, connection: Name
) -> MappingView:
    """Show a mapping."""
    return await call.operations.mappings.get(_key(source, entity_type, entity_id, connection), call.scope)


@endpoint(
    "PUT", ONE, role=Role.OPERATOR, problems=(NotFoundError, RecordTakenError, RecordUnknownError, ConnectorError)
)  # fmt: skip
async def put_mapping(
    call: Call, *, source: Name, entity_type: EntityType, entity_id: EntityId, connection: Name, body: LinkTo
) -> MappingView:
    """Link a customer to a record by hand, or to another one than before.

    The record is asked for at the provider, where the connection is active and its connector can look records up by
    id; the platform is told afterwards. Repeating it changes nothing.
    """
    return await call.operations.mappings.put(
        _key(source, entity_type, entity_id, connection), call.scope, provider_entity_id=body.provider_entity_id,
        actor=call.actor, reason=body.reason,
    )  # fmt: skip


@endpoint("DELETE", ONE, role=Role.OPERATOR, status=204, problems=(NotFoundError,))
async def delete_mapping(
    call: Call, *, source: Name, entity_type: EntityType, entity_id: EntityId, connection: Name, query: UnlinkQuery
) -> None:
    """Unlink a customer.

    The record stays at the provider. What the platform was told stays there too: the next invoice finds it as a hint
    and links the same record again, unless it is removed there.
    """
    key = _key(source, entity_type, entity_id, connection)
    await call.operations.mappings.delete(key, call.scope, actor=call.actor, reason=query.reason)


@endpoint("GET", "/mappings/export", role=Role.VIEWER, produces=(JSON, CSV))
async def export_mappings(call: Call, *, query: ExportQuery) -> web.StreamResponse:
    """Download all mappings of the filter, as a JSON array or as CSV with a header line.

    In CSV a value that a spreadsheet would take for a formula begins with an apostrophe, which an import takes away.
    """
    kind = CSV if query.format is Format.CSV else JSON
    disposition = f'attachment; filename="mappings.{query.format}"'
    answer = web.StreamResponse(headers={**KEPT_OUT, "Content-Disposition": disposition})
    answer.content_type = kind
    answer.charset = "utf-8" if kind == CSV else None
    pieces = call.operations.transfers.export(query.format, call.scope, _chosen(query))
    first = await anext(pieces)
    await answer.prepare(call.request)
    await answer.write(first)
    try:
        async for piece in pieces:
            await answer.write(piece)
    except StorageError:
        if call.request.transport is not None:
            call.request.transport.abort()  # a cut download must not look like a whole one
        raise
    await answer.write_eof()
    return answer


@endpoint(
    "POST", "/mappings/import", role=Role.OPERATOR, problems=(UnsupportedMediaTypeError,), consumes=(JSON, CSV),
    most=MAX_IMPORT_BYTES,
)  # fmt: skip
async def import_mappings(call: Call, *, query: ImportQuery) -> Imported:
    """Link all that a JSON array or a CSV with a header line names, as an export has it.

    Needed are `source`, `entity_id`, `connection` and `provider_entity_id`; `entity_type` is `customer` when left out;
    other columns are not read. A row that is refused does not keep the others out. Repeating it changes nothing.
    """
    kind = reading.media_type(call.request)
    if kind not in reading.JSON_TYPES | {CSV}:
        raise UnsupportedMediaTypeError
    body = await reading.read(call.request, most=MAX_IMPORT_BYTES)
    if kind == CSV:
        try:
            rows = read_csv(body.decode())
        except UnicodeDecodeError:
            raise RequestInvalidError("the CSV is not UTF-8") from None
    else:
        reading.require_shallow(reading.decoded(body))
        rows = read_json(body)
    return await call.operations.transfers.take_in(
        rows, call.scope, actor=call.actor, dry_run=query.dry_run, verify=query.verify
    )


def _key(source: str, entity_type: str, entity_id: str, connection: str) -> MappingKey:
    return MappingKey(source=source, entity_type=entity_type, entity_id=entity_id, connection=connection)


def _chosen(given: MappingChoice) -> MappingFilter:
    return MappingFilter(
        entity_id=given.entity_id, connection=given.connection, source=given.source, entity_type=given.entity_type,
        provider_entity_id=given.provider_entity_id, status=given.status, text=given.text,
    )  # fmt: skip


ENDPOINTS = (list_mappings, export_mappings, import_mappings, get_mapping, put_mapping, delete_mapping)
