"""From a row to a record. The same in every backend: whatever gives a column's value by its name is a row."""

from storage.rows.alerts import alert, alert_message, channel, counted
from storage.rows.catalog import audit_entry, circuit, connection, key, source
from storage.rows.mappings import intent, intent_guards, mapping, mapping_key, seen_customer
from storage.rows.row import Row
from storage.rows.work import attempt, delivery, job, rejection, review

__all__ = [
    "Row",
    "alert",
    "alert_message",
    "attempt",
    "audit_entry",
    "channel",
    "circuit",
    "connection",
    "counted",
    "delivery",
    "intent",
    "intent_guards",
    "job",
    "key",
    "mapping",
    "mapping_key",
    "rejection",
    "review",
    "seen_customer",
    "source",
]
