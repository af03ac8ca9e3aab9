"""Mappings, the creates that are under way, and the customers seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.records.shared import Json


class MappingStatus(StrEnum):
    """Where a mapping stands."""

    INTENDED = "intended"
    LINKED = "linked"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingKey:
    """What identifies a mapping."""

    source: str
    entity_type: str
    entity_id: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A mapping for as long as it is about this one record."""

    key: MappingKey
    provider_entity_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMapping:
    """Entity integration mapping: a source's entity on a connection → the provider's id."""

    source: str
    entity_type: str
    entity_id: str
    connection: str
    connector: str
    tenant_id: str
    environment_id: str
    provider_entity_id: str | None
    status: MappingStatus
    origin: str | None
    why: str | None
    shared: bool
    epoch: int
    details: Json
    """What the record was when it was linked."""
    notes: Mapping[str, Any]
    """What has happened to it since, by name; kept as long as the mapping is about this record."""
    synced_at: datetime | None
    written_back_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> MappingKey:
        """Return the identifying part."""
        return MappingKey(
            source=self.source, entity_type=self.entity_type, entity_id=self.entity_id, connection=self.connection
        )

    @property
    def held(self) -> Held:
        """Return it as it is by now: about this record."""
        return Held(key=self.key, provider_entity_id=self.provider_entity_id or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is noted with a mapping, whatever else has been noted since it was read: one name replaces itself alone.

    Raises RecordMovedError at settling when the mapping is not about this record any more.
    """

    about: Held
    notes: Mapping[str, Any] = field(default_factory=dict)
    details: Json = None
    """What the record was found to be, where that was not known when it was linked; None leaves what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A create that was or is about to be sent. Open until its outcome is known for certain."""

    intent_id: str
    key: MappingKey
    idempotency_key: str
    epoch: int
    variant: int
    attempt: int
    snapshot: Json = field(repr=False)
    digest: str
    guards: tuple[str, ...] = ()
    started_at: datetime
    looked_at: datetime | None = None
    refused_at: datetime | None = None
    lost_before: int = 0
    """How many creates of this epoch ended unknown and were then proven absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntent:
    """What is committed before a create is sent. `seed` is what the idempotency key must differ by."""

    intent_id: str
    key: MappingKey
    connector: str
    tenant_id: str
    environment_id: str
    variant: int
    seed: str = field(repr=False)
    snapshot: Json = field(repr=False)
    digest: str
    guards: tuple[str, ...] = ()
    started_at: datetime
    searched_since: datetime
    replaces: str | None = None
    """Intent of the same mapping that is closed in the same transaction, with `replaces_result`."""
    replaces_result: str = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCustomer:
    """What lists and searches know of a customer."""

    source: str
    customer_id: str
    tenant_id: str
    environment_id: str
    name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A mapping that becomes linked. Raises ConflictError at settling when the record belongs to another customer.

    What was noted of the record stays with it when the same one is linked again.

    With `searched_since`, when the look-up began that has found the record, settling raises GuardBusyError while a
    create for another customer with one of these guards is open, or when one has ended since: the record may be that
    one's.
    """

    key: MappingKey
    connector: str
    tenant_id: str
    environment_id: str
    provider_entity_id: str
    origin: str
    why: str
    shared: bool = False
    details: Json = None
    guards: tuple[str, ...] = ()
    searched_since: datetime | None = None
