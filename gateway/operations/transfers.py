"""Mappings in bulk: out as CSV or JSON, and in again; a second import of the same changes nothing."""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from connectors.errors import ConnectorError
from gateway.errors import GatewayError, RequestInvalidError
from gateway.operations.mappings import CUSTOMER, Directory, MappingFilter, Mappings, MappingView, is_linked
from gateway.operations.values import EntityId, EntityType, Name, RecordId
from gateway.operations.views import View
from storage.errors import StorageError, StoreUnavailableError
from storage.records import EVERYWHERE, MappingKey, Scope

MAX_ROWS = 50_000
MAX_REFUSED = 100
"""How many refused rows are told one by one."""
PAGE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How mappings are written down."""

    CSV = "csv"
    JSON = "json"


class MappingRow(View):
    """One line of an import. Other columns of an export may stand beside these, and are not read."""

    source: Name
    entity_type: EntityType = CUSTOMER
    entity_id: EntityId
    connection: Name
    provider_entity_id: RecordId


class Refused(View):
    """A row that was not imported."""

    row: int = Field(description="Counted from 1, without a header line.")
    code: str
    detail: str


class Imported(View):
    """What became of an import."""

    rows: int
    linked: int = Field(description="How many were linked, or would be in a dry run.")
    unchanged: int = Field(description="How many were linked so already.")
    refused: int
    refusals: Sequence[Refused] = Field(description="The first hundred.")
    dry_run: bool


COLUMNS = tuple(MappingView.model_fields)
READ = tuple(MappingRow.model_fields)
_MANY = TypeAdapter(list[dict[str, Any]])


class Transfers:
    """Import and export over the use-cases of mappings."""

    def __init__(self, mappings: Mappings) -> None:
        self._mappings = mappings

    async def export(
        self, form: Format, scope: Scope = EVERYWHERE, chosen: MappingFilter | None = None
    ) -> AsyncIterator[bytes]:
        """Yield all mappings of the filter piece by piece: CSV with a header line, or one JSON array."""
        yield _csv([dict(zip(COLUMNS, COLUMNS, strict=True))]) if form is Format.CSV else b"["
        cursor, first = None, True
        while first or cursor is not None:
            page = await self._mappings.list(scope, chosen, limit=PAGE, cursor=cursor)
            rows = [mapping.model_dump(mode="json") for mapping in page.items]
            if form is Format.CSV:
                yield _csv([{name: _guarded(value) for name, value in row.items()} for row in rows])
            elif rows:
                yield (b"" if first else b",\n") + orjson.dumps(rows)[1:-1]
            cursor, first = page.next_cursor, False
        if form is Format.JSON:
            yield b"]"

    async def take_in(
        self,
        rows: Sequence[Mapping[str, Any]],
        scope: Scope = EVERYWHERE,
        *,
        actor: str,
        dry_run: bool = False,
        verify: bool = False,
    ) -> Imported:
        """Link row by row; a row that is refused does not keep the others out. Raises RequestInvalidError.

        `verify` asks the provider for each record, which takes a request a row.
        """
        if len(rows) > MAX_ROWS:
            msg = f"at most {MAX_ROWS} rows at once"
            raise RequestInvalidError(msg)
        directory = await self._mappings.directory(scope)
        linked = unchanged = 0
        refusals: list[Refused] = []
        for number, raw in enumerate(rows, start=1):
            try:
                changed = await self._take(_row(raw), directory, actor=actor, dry_run=dry_run, verify=verify)
            except StoreUnavailableError:
                raise
            except (GatewayError, ConnectorError, StorageError) as error:
                refusals.append(Refused(row=number, code=error.code, detail=error.detail or error.title))
                continue
            linked, unchanged = linked + changed, unchanged + (not changed)
        self._mappings.wake()
        return Imported(
            rows=len(rows), linked=linked, unchanged=unchanged, refused=len(refusals),
            refusals=refusals[:MAX_REFUSED], dry_run=dry_run,
        )  # fmt: skip

    async def _take(self, row: MappingRow, directory: Directory, *, actor: str, dry_run: bool, verify: bool) -> bool:
        """Link one row; return whether that changed something."""
        mappings = self._mappings
        key = MappingKey(
            source=row.source, entity_type=row.entity_type, entity_id=row.entity_id, connection=row.connection
        )
        source, connection = directory.ends(key)
        before = await mappings.store.get_mapping(key)
        if is_linked(before, row.provider_entity_id):
            return False
        await mappings.records.refuse_taken(key, row.provider_entity_id)
        if verify:
            await mappings.records.verify(key.connection, row.provider_entity_id, entity_type=key.entity_type)
        if not dry_run:
            await mappings.link(
                key, source, connection, provider_entity_id=row.provider_entity_id, actor=actor, reason="import",
                before=before,
            )  # fmt: skip
        return True


def read_csv(text: str) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a CSV with a header line. Raises RequestInvalidError."""
    try:
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        missing = set(READ) - {"entity_type"} - set(reader.fieldnames or ())
        if missing:
            msg = f"the header line lacks {', '.join(sorted(missing))}"
            raise RequestInvalidError(msg)
        rows = []
        for row in reader:
            rows.append({name: _unguarded(value) for name, value in row.items() if name in READ and value})
            if len(rows) > MAX_ROWS:
                break
    except csv.Error as error:
        msg = f"the CSV cannot be read: {error}"
        raise RequestInvalidError(msg) from None
    return rows


def read_json(body: bytes) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a JSON array. Raises RequestInvalidError."""
    try:
        return _MANY.validate_json(body)
    except ValidationError:
        raise RequestInvalidError("the body is no JSON array of objects") from None


def _row(raw: Mapping[str, Any]) -> MappingRow:
    try:
        return MappingRow.model_validate({name: raw[name] for name in READ if raw.get(name) is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RequestInvalidError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from None


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writerows(rows)
    return out.getvalue().encode()


def _guarded(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula; the import takes the apostrophe away again."""
    return f"'{value}" if isinstance(value, str) and value.startswith((*_FORMULA, "'")) else value


def _unguarded(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and value.startswith("'") else value
