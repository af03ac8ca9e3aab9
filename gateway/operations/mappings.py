"""Mappings by hand: lists, link, unlink; what is linked is told to the platform, like every link."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from gateway.errors import PluginError, RecordTakenError
from gateway.operations.acting import Desk
from gateway.operations.records import Records
from gateway.operations.search import ids_for
from gateway.operations.views import Listed, View, listed
from gateway.pipeline.dispatch import INVOICE, write_back_job
from gateway.pipeline.linking import OPERATOR
from gateway.plugins import source_plugins
from gateway.registry import Registry
from storage.errors import ConflictError, NotFoundError
from storage.records import (
    EVERYWHERE,
    ConnectionRow,
    EntityMapping,
    Link,
    MappingKey,
    MappingStatus,
    Scope,
    SourceRow,
)

CUSTOMER = "customer"
WRITTEN_BACK = frozenset({CUSTOMER, INVOICE})
"""What the platform is told of."""


class MappingView(View):
    """Which record of a provider belongs to which billing customer."""

    source: str
    entity_type: str
    entity_id: str
    connection: str
    connector: str
    tenant_id: str
    environment_id: str
    provider_entity_id: str | None
    status: MappingStatus
    origin: str | None = Field(description="`created`, `adopted_…`, `hint` or `operator`.")
    why: str | None
    shared: bool = Field(description="Whether other customers may have the same record.")
    details: dict[str, Any] | None = Field(
        description="What was left out or altered (`warnings`); of an invoice also `number`, `total`, `currency`,"
        " `url`, `customer_record`; of a payment link `amount`, `currency`, `url`, and `accepted_for` where a person"
        " has chosen it: what was open of the invoice then."
    )
    notes: dict[str, Any] = Field(
        description="What has happened to the record since it was linked: `payments` of an invoice or payment link,"
        " `voided_at` of an invoice once it is void."
    )
    synced_at: datetime | None
    written_back_at: datetime | None = Field(description="When the platform was told.")
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingFilter:
    """Which mappings. An empty filter means all."""

    entity_id: str | None = None
    connection: str | None = None
    entity_type: str | None = None
    source: str | None = None
    provider_entity_id: str | None = None
    status: MappingStatus | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The sources and connections of a scope, by name."""

    sources: Mapping[str, SourceRow]
    connections: Mapping[str, ConnectionRow]

    def ends(self, key: MappingKey) -> tuple[SourceRow, ConnectionRow]:
        """Return the source and the connection of a mapping. Raises NotFoundError."""
        source, connection = self.sources.get(key.source), self.connections.get(key.connection)
        if source is None:
            msg = f"there is no source {key.source} in this tenant and environment"
            raise NotFoundError(msg)
        home = (source.tenant_id, source.environment_id)
        if connection is None or (connection.tenant_id, connection.environment_id) != home:
            msg = f"there is no connection {key.connection} in the tenant and environment of source {key.source}"
            raise NotFoundError(msg)
        return source, connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings(Desk):
    """The use-cases of mappings. Without a registry no provider is asked about a record."""

    registry: Registry | None = None

    @property
    def records(self) -> Records:
        """Return what asks the providers."""
        return Records(self.store, self.registry)

    async def list(
        self,
        scope: Scope = EVERYWHERE,
        chosen: MappingFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listed[MappingView]:
        """Return mappings, in the order of their keys. Raises CursorInvalidError."""
        wanted = chosen or MappingFilter()
        about = await ids_for(wanted.text, self.store, scope) if wanted.text else None
        page = await self.store.list_mappings(
            scope, limit=limit, cursor=cursor, entity_id=wanted.entity_id, connection=wanted.connection,
            entity_type=wanted.entity_type, source=wanted.source, provider_entity_id=wanted.provider_entity_id,
            status=wanted.status, entity_ids=about,
        )  # fmt: skip
        return listed(page, mapping_view)

    async def get(self, key: MappingKey, scope: Scope = EVERYWHERE) -> MappingView:
        """Return a mapping. Raises NotFoundError."""
        found = await self.store.get_mapping(key, scope)
        if found is None:
            raise NotFoundError
        return mapping_view(found)

    async def put(
        self,
        key: MappingKey,
        scope: Scope = EVERYWHERE,
        *,
        provider_entity_id: str,
        actor: str,
        reason: str | None = None,
        verify: bool = True,
    ) -> MappingView:
        """Link a customer to the record that a person names; what is linked so already stays as it is.

        The record is asked for at the provider, where it can be. Raises NotFoundError for a source or connection that
        is not there, RecordUnknownError, RecordTakenError, and ConnectorError kinds when the provider cannot be asked.
        """
        source, connection = (await self.directory(scope)).ends(key)
        before = await self.store.get_mapping(key)
        if before is not None and is_linked(before, provider_entity_id):
            return mapping_view(before)
        await self.records.refuse_taken(key, provider_entity_id)
        if verify:
            await self.records.verify(key.connection, provider_entity_id, entity_type=key.entity_type)
        linked = await self.link(
            key, source, connection, provider_entity_id=provider_entity_id, actor=actor, reason=reason, before=before
        )
        self.wake()
        return linked

    async def delete(
        self, key: MappingKey, scope: Scope = EVERYWHERE, *, actor: str, reason: str | None = None
    ) -> MappingView:
        """Unlink; the record stays at the provider, and a hint at the platform too. Raises NotFoundError."""
        gone = await self.store.delete_mapping(key, scope, now=self.now())
        home = Scope(tenant_id=gone.tenant_id, environment_id=gone.environment_id)
        detail = {"record": gone.provider_entity_id, **_told(reason)}
        await self.note(actor, "mapping.unlinked", subject_of(key), home, detail)
        return mapping_view(gone)

    async def directory(self, scope: Scope = EVERYWHERE) -> Directory:
        """Return the sources and connections between which mappings can be."""
        sources, connections = await self.store.list_sources(scope), await self.store.list_connections(scope)
        return Directory(sources={row.name: row for row in sources}, connections={row.name: row for row in connections})

    async def link(
        self,
        key: MappingKey,
        source: SourceRow,
        connection: ConnectionRow,
        *,
        provider_entity_id: str,
        actor: str,
        reason: str | None,
        before: EntityMapping | None,
    ) -> MappingView:
        """Write the link, with its audit entry and the job that tells the platform. Raises RecordTakenError."""
        now = self.now()
        link = Link(
            key=key, connector=connection.connector, tenant_id=source.tenant_id, environment_id=source.environment_id,
            provider_entity_id=provider_entity_id, origin=OPERATOR, why=f"linked by {actor}",
            shared=self.records.shared(key.connection),
        )  # fmt: skip
        try:
            made = await self.store.put_mapping(link, now=now)
        except ConflictError as error:
            raise RecordTakenError(error.detail) from error
        replaced = before.provider_entity_id if before is not None else None
        detail = {"record": provider_entity_id, **({"before": replaced} if replaced else {}), **_told(reason)}
        home = Scope(tenant_id=source.tenant_id, environment_id=source.environment_id)
        await self.note(actor, "mapping.linked", subject_of(key), home, detail)
        if key.entity_type in WRITTEN_BACK and writes_back(source):
            await self.store.add_job(write_back_job(source, key, now=now), now=now)
        return mapping_view(made)


def is_linked(before: EntityMapping | None, provider_entity_id: str) -> bool:
    """Return whether a mapping is what it is to become."""
    if before is None or before.status is not MappingStatus.LINKED:
        return False
    return before.provider_entity_id == provider_entity_id


def mapping_view(mapping: EntityMapping) -> MappingView:
    """Return a mapping as it is shown."""
    shown: dict[str, Any] = {name: getattr(mapping, name) for name in MappingView.model_fields}
    return MappingView(**shown)


def subject_of(key: MappingKey) -> str:
    """Return how the audit names a mapping."""
    return f"{key.source}:{key.entity_type}:{key.entity_id}@{key.connection}"


def writes_back(source: SourceRow) -> bool:
    """Return whether the source's platform is told of links."""
    try:
        return source_plugins().load(source.platform).writes_back
    except PluginError:
        return False


def _told(reason: str | None) -> dict[str, str]:
    return {"reason": reason} if reason else {}
