"""What is configured, the keys to it, and who changed what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from storage.records.shared import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A configured source. `settings` is public; secrets lie encrypted in `secrets`."""

    name: str
    platform: str
    tenant_id: str
    environment_id: str
    verification: str
    status: str
    settings: Json
    secrets: Mapping[str, bytes] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRow:
    """A configured connection. `settings`: the public part of its config, and `invoice_sync`. Secrets are encrypted."""

    name: str
    connector: str
    tenant_id: str
    environment_id: str
    status: str
    pause_reason: str | None
    pause_detail: str | None
    settings: Json
    account: Json
    secrets: Mapping[str, bytes] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An API key: its hash, never the key."""

    key_id: str
    name: str
    hash: bytes = field(repr=False)
    tenant_id: str | None
    environment_id: str | None
    role: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A connection's OAuth tokens, encrypted, with the version that a change must name."""

    payload: bytes = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who changed what, when."""

    audit_id: int
    at: datetime
    actor: str
    tenant_id: str | None
    environment_id: str | None
    action: str
    subject: str
    detail: Json
