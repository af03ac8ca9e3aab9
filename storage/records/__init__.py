"""The rows of the store as frozen values. They hold text, bytes, numbers, times and JSON; no domain types."""

from storage.records.alerts import (
    Alert,
    AlertChange,
    AlertMessage,
    AlertStatus,
    Attention,
    ChannelActivity,
    ChannelRow,
    Counted,
    MessageStatus,
)
from storage.records.catalog import AuditEntry, ConnectionRow, KeyRow, SourceRow, TokenRow
from storage.records.circuits import WELL, CircuitRow
from storage.records.deliveries import Delivery, DeliveryStatus, Dispatched, NewDelivery, Rejection, SourceActivity
from storage.records.jobs import Attempt, Backlog, Job, JobStatus, NewJob
from storage.records.mappings import (
    EntityMapping,
    Held,
    Intent,
    Link,
    MappingKey,
    MappingStatus,
    NewIntent,
    Note,
    SeenCustomer,
)
from storage.records.settling import Claimed, NewReview, Review, ReviewStatus, Settlement
from storage.records.shared import EVERYWHERE, Json, Page, Scope

__all__ = [
    "EVERYWHERE",
    "WELL",
    "Alert",
    "AlertChange",
    "AlertMessage",
    "AlertStatus",
    "Attempt",
    "Attention",
    "AuditEntry",
    "Backlog",
    "ChannelActivity",
    "ChannelRow",
    "CircuitRow",
    "Claimed",
    "ConnectionRow",
    "Counted",
    "Delivery",
    "DeliveryStatus",
    "Dispatched",
    "EntityMapping",
    "Held",
    "Intent",
    "Job",
    "JobStatus",
    "Json",
    "KeyRow",
    "Link",
    "MappingKey",
    "MappingStatus",
    "MessageStatus",
    "NewDelivery",
    "NewIntent",
    "NewJob",
    "NewReview",
    "Note",
    "Page",
    "Rejection",
    "Review",
    "ReviewStatus",
    "Scope",
    "SeenCustomer",
    "Settlement",
    "SourceActivity",
    "SourceRow",
    "TokenRow",
]
