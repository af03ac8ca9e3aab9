"""Mappings, intents and the customers seen."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from storage.records import (
    EVERYWHERE,
    EntityMapping,
    Intent,
    Link,
    MappingKey,
    MappingStatus,
    NewIntent,
    Page,
    Scope,
    SeenCustomer,
)


class MappingStore(Protocol):
    """Mappings, intents and the customers seen."""

    async def begin_intent(self, new: NewIntent, *, job_id: str, fence: int) -> Intent:
        """Commit that a create is about to be sent, before its first byte; the mapping becomes `intended`.

        The idempotency key is made here from `new.seed`, the epoch, the variant and the count of creates before, so
        that no two creates share one. Raises LeaseLostError when another worker has the job. Raises GuardBusyError when
        a create for an equal customer is open, or has ended since `new.searched_since`, when this job began to look.
        Raises ConflictError when the mapping was linked meanwhile, or has an open intent that `new` does not replace.
        """
        ...

    async def refuse_intent(self, intent_id: str, *, now: datetime) -> None:
        """Note that the provider refused this create: its name is taken. It stays open while the holder is sought."""
        ...

    async def get_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE) -> EntityMapping | None:
        """Return a mapping, or None."""
        ...

    async def holders(
        self, connection: str, entity_type: str, provider_entity_ids: Sequence[str]
    ) -> dict[str, MappingKey]:
        """Return which of these records are linked already, and to whom; the first by name where a record is shared."""
        ...

    async def list_mappings(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        entity_id: str | None = None,
        connection: str | None = None,
        entity_type: str | None = None,
        source: str | None = None,
        provider_entity_id: str | None = None,
        status: MappingStatus | None = None,
        entity_ids: Sequence[str] | None = None,
    ) -> Page[EntityMapping]:
        """Return mappings, in the order of their keys."""
        ...

    async def put_mapping(self, new: Link, *, now: datetime) -> EntityMapping:
        """Link by hand; an open intent of the mapping is closed. Raises ConflictError when the record is taken."""
        ...

    async def delete_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE, *, now: datetime) -> EntityMapping:
        """Unlink: the mapping goes, and an open intent of it is closed. Raises NotFoundError.

        Its epoch is kept in the closed intents, so that a later create has another idempotency key.
        """
        ...

    async def find_customers(self, customer_id: str, scope: Scope = EVERYWHERE) -> Sequence[SeenCustomer]:
        """Return the customers with this id which any source of the scope has spoken of."""
        ...

    async def list_customers(
        self, scope: Scope = EVERYWHERE, *, limit: int = 50, cursor: str | None = None, text: str | None = None
    ) -> Page[SeenCustomer]:
        """Return customers seen; `text` is part of a name, e-mail address or id.

        A text as long as only an id is (LONG_AS_AN_ID) and which is one is looked up, and nothing else is looked for.
        """
        ...
