"""From rows to mappings, the creates that are under way, and the customers seen."""

from storage import scalars
from storage.records import EntityMapping, Intent, MappingKey, MappingStatus, SeenCustomer
from storage.rows.row import Row


def mapping(row: Row) -> EntityMapping:
    """Return a mapping."""
    return EntityMapping(
        source=row["source"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        connection=row["connection"],
        connector=row["connector"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        provider_entity_id=row["provider_entity_id"],
        status=MappingStatus(row["status"]),
        origin=row["origin"],
        why=row["why"],
        shared=bool(row["shared"]),
        epoch=row["epoch"],
        details=scalars.loads(row["details"]),
        notes=scalars.loads(row["notes"]) or {},
        synced_at=scalars.moment_or_none(row["synced_at"]),
        written_back_at=scalars.moment_or_none(row["written_back_at"]),
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def mapping_key(row: Row) -> MappingKey:
    """Return what identifies the mapping that a row is about."""
    return MappingKey(
        source=row["source"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        connection=row["connection"],
    )


def intent_guards(row: Row) -> tuple[str, ...]:
    """Return the guards that an intent holds."""
    return tuple(scalars.loads(row["guards"]))


def intent(row: Row, *, lost_before: int = 0) -> Intent:
    """Return an intent."""
    return Intent(
        intent_id=row["intent_id"],
        key=mapping_key(row),
        idempotency_key=row["idempotency_key"],
        epoch=row["epoch"],
        variant=row["variant"],
        attempt=row["attempt"],
        snapshot=scalars.loads(row["snapshot"]),
        digest=row["digest"],
        guards=intent_guards(row),
        started_at=scalars.moment(row["started_at"]),
        looked_at=scalars.moment_or_none(row["looked_at"]),
        refused_at=scalars.moment_or_none(row["refused_at"]),
        lost_before=lost_before,
    )


def seen_customer(row: Row) -> SeenCustomer:
    """Return a customer that was seen."""
    return SeenCustomer(
        source=row["source"],
        customer_id=row["customer_id"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        name=row["name"],
        email=row["email"],
    )
