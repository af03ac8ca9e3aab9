"""What the suite stores: records with everything filled in, and the few steps that most tests begin with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from storage.base import Store
from storage.ids import new_id
from storage.records import (
    Alert,
    AlertChange,
    AlertMessage,
    AlertStatus,
    Attempt,
    ChannelRow,
    Claimed,
    ConnectionRow,
    Dispatched,
    Held,
    JobStatus,
    KeyRow,
    Link,
    MappingKey,
    NewDelivery,
    NewIntent,
    NewJob,
    NewReview,
    Rejection,
    Scope,
    SeenCustomer,
    Settlement,
    SourceRow,
)

T0 = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
LEASE = timedelta(seconds=30)
HERE = Scope(tenant_id="tenant_a", environment_id="prod")
ELSEWHERE = Scope(tenant_id="tenant_b", environment_id="prod")
OTHER_ENVIRONMENT = Scope(tenant_id="tenant_a", environment_id="test")
ENSURE = "ensure_customer"


def at(seconds: float) -> datetime:
    """Return a time so many seconds after the suite's beginning."""
    return T0 + timedelta(seconds=seconds)


def make_delivery(key: str = "msg_1", *, seconds: float = 0, **more: Any) -> NewDelivery:
    """Return a delivery which arrives so many seconds after the beginning."""
    fields: dict[str, Any] = {
        "delivery_id": new_id("dlv", at(seconds)), "source": "flex", "tenant_id": "tenant_a", "environment_id": "prod",
        "delivery_key": key, "received_at": at(seconds), "headers": b'[["webhook-id","1"]]',
        "body": b'{"n": 1}\xff\x00', "scheme": "standard-webhooks", "secret_index": 0,
    }  # fmt: skip
    return NewDelivery(**{**fields, **more})


def make_job(entity_id: str = "cust_1", *, due: float = 0, **more: Any) -> NewJob:
    """Return a job that ensures a customer on the connection `nomod`."""
    connection = more.get("connection", "nomod")
    fields: dict[str, Any] = {
        "job_id": new_id("job", T0), "kind": ENSURE, "source": "flex", "tenant_id": "tenant_a",
        "environment_id": "prod", "gate": connection, "lock_key": f"{connection}:{entity_id}", "connection": connection,
        "entity_id": entity_id, "subject": None, "payload": {"trigger": "invoice_finalized"}, "due_at": at(due),
    }  # fmt: skip
    return NewJob(**{**fields, **more})


def make_key(entity_id: str = "cust_1", connection: str = "nomod", source: str = "flex") -> MappingKey:
    """Return the key of a customer's mapping."""
    return MappingKey(source=source, entity_type="customer", entity_id=entity_id, connection=connection)


def make_link(record: str = "rec_1", key: MappingKey | None = None, **more: Any) -> Link:
    """Return a link of a customer to a record."""
    fields: dict[str, Any] = {
        "key": key or make_key(), "connector": "nomod", "tenant_id": "tenant_a", "environment_id": "prod",
        "provider_entity_id": record, "origin": "created", "why": "nobody had it", "details": {"name": "Ünï"},
    }  # fmt: skip
    return Link(**{**fields, **more})


def make_held(record: str = "rec_1", key: MappingKey | None = None) -> Held:
    """Return a customer's mapping, as long as it is about this record."""
    return Held(key=key or make_key(), provider_entity_id=record)


def make_intent(key: MappingKey | None = None, *, seconds: float = 0, **more: Any) -> NewIntent:
    """Return an intent that begins so many seconds after the beginning, having searched since then."""
    fields: dict[str, Any] = {
        "intent_id": new_id("int", at(seconds)), "key": key or make_key(), "connector": "nomod",
        "tenant_id": "tenant_a", "environment_id": "prod", "variant": 0, "seed": "seed", "snapshot": {"name": "Ada"},
        "digest": "d1", "started_at": at(seconds), "searched_since": at(seconds),
    }  # fmt: skip
    return NewIntent(**{**fields, **more})


def make_settlement(
    claimed: Claimed, status: JobStatus = JobStatus.SUCCEEDED, *, seconds: float = 1, owner: str = "w1", **more: Any
) -> Settlement:
    """Return what ends an attempt, so many seconds after the beginning."""
    outcome = "done" if status is JobStatus.SUCCEEDED else str(status)
    attempt = Attempt(
        number=claimed.job.attempts + 1, started_at=at(seconds - 1), finished_at=at(seconds), outcome=outcome,
        error=more.get("error"), exchanges=[{"status": 200}], decision={"decision": "create"}, worker=owner,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "job_id": claimed.job.job_id, "fence": claimed.job.fence, "owner": owner, "attempt": attempt, "status": status,
        "outcome": "done" if status is JobStatus.SUCCEEDED else None,
    }  # fmt: skip
    return Settlement(**{**fields, **more})


def make_review(**more: Any) -> NewReview:
    """Return a question about two candidates."""
    fields: dict[str, Any] = {
        "review_id": new_id("rev", T0), "kind": "ambiguous", "reason": "two candidates",
        "candidates": [{"provider_entity_id": "rec_1"}, {"provider_entity_id": "rec_2"}], "customer": {"name": "Ada"},
    }  # fmt: skip
    return NewReview(**{**fields, **more})


def make_seen(customer_id: str = "cust_1", **more: Any) -> SeenCustomer:
    """Return a customer that was seen."""
    fields: dict[str, Any] = {
        "source": "flex", "customer_id": customer_id, "tenant_id": "tenant_a", "environment_id": "prod",
        "name": f"Name of {customer_id}", "email": f"{customer_id}@example.com",
    }  # fmt: skip
    return SeenCustomer(**{**fields, **more})


def make_alert(subject: str = "nomod", **more: Any) -> Alert:
    """Return an alert about a connection, not told yet."""
    fields: dict[str, Any] = {
        "kind": "connection_paused", "tenant_id": "tenant_a", "environment_id": "prod", "subject": subject,
        "alert_id": new_id("alr", T0), "status": AlertStatus.OPEN, "count": 1, "facts": {"reason": "needs_reauth"},
        "newest_at": T0, "opened_at": T0, "told_at": None, "told_count": 0,
    }  # fmt: skip
    return Alert(**{**fields, **more})


def make_message(alert: Alert, channel: str = "ops", **more: Any) -> AlertMessage:
    """Return what is told of an alert through a channel."""
    fields: dict[str, Any] = {
        "message_id": new_id("msg", T0), "alert_id": alert.alert_id, "channel": channel, "tenant_id": alert.tenant_id,
        "environment_id": alert.environment_id, "kind": alert.kind, "event": "opened", "content": {"title": "Ünï"},
        "created_at": T0, "next_attempt_at": T0,
    }  # fmt: skip
    return AlertMessage(**{**fields, **more})


def make_channel(name: str = "ops", **more: Any) -> ChannelRow:
    """Return a channel of the first tenant."""
    fields: dict[str, Any] = {
        "name": name, "kind": "webhook", "tenant_id": "tenant_a", "environment_id": "prod",
        "settings": {"url": "https://ops.example"}, "secrets": {"secret": b"\x01s"}, "created_at": T0, "updated_at": T0,
    }  # fmt: skip
    return ChannelRow(**{**fields, **more})


async def write_alert(store: Store, alert: Alert, *messages: AlertMessage, seconds: float = 0) -> int:
    """Write one alert with what is told of it, and forget nothing."""
    change = AlertChange(alert=alert, messages=messages)
    return await store.write_alerts([change], now=at(seconds), forget_before=at(-1e6))


def make_source(name: str = "flex", **more: Any) -> SourceRow:
    """Return a configured source with one secret."""
    fields: dict[str, Any] = {
        "name": name, "platform": "flexprice", "tenant_id": "tenant_a", "environment_id": "prod",
        "verification": "standard-webhooks", "status": "active", "settings": {"api_url": "https://flex.example"},
        "secrets": {"secret.0": b"\x00encrypted\xff"}, "created_at": T0, "updated_at": T0,
    }  # fmt: skip
    return SourceRow(**{**fields, **more})


def make_connection(name: str = "nomod", **more: Any) -> ConnectionRow:
    """Return a configured connection with one secret."""
    fields: dict[str, Any] = {
        "name": name, "connector": "nomod", "tenant_id": "tenant_a", "environment_id": "prod", "status": "active",
        "pause_reason": None, "pause_detail": None, "settings": {"config": {}}, "account": None,
        "secrets": {"api_key": b"\x01key"}, "created_at": T0, "updated_at": T0,
    }  # fmt: skip
    return ConnectionRow(**{**fields, **more})


def make_api_key(key_id: str = "key_1", **more: Any) -> KeyRow:
    """Return an API key's row."""
    fields: dict[str, Any] = {
        "key_id": key_id, "name": f"name of {key_id}", "hash": key_id.encode().ljust(32, b"\x00"),
        "tenant_id": "tenant_a", "environment_id": "prod", "role": "viewer", "created_at": T0, "last_used_at": None,
        "revoked_at": None,
    }  # fmt: skip
    return KeyRow(**{**fields, **more})


def make_rejection(source: str = "flex", *, seconds: float = 0, reason: str = "signature_invalid") -> Rejection:
    """Return a refused request."""
    return Rejection(
        source=source, at=at(seconds), reason=reason, headers=[["webhook-id", "[redacted]"]], body_sha256="ab" * 32,
        body_bytes=1900,
    )  # fmt: skip


async def dispatch_jobs(store: Store, key: str, *jobs: NewJob, **more: Any) -> str:
    """Store a delivery, dispatch it into these jobs, and return its id."""
    new = make_delivery(key, **more)
    await store.add_delivery(new)
    bound = [_of(job, new.delivery_id) for job in jobs]
    await settle_dispatch(store, new.delivery_id, jobs=bound)
    return new.delivery_id


async def settle_dispatch(store: Store, delivery_id: str, **more: Any) -> None:
    """Claim what is not dispatched, and write this decision about a delivery."""
    await store.claim_deliveries(now=T0, lease=LEASE, limit=1000)
    await store.settle_dispatch(
        [Dispatched(**{"delivery_id": delivery_id, "event_type": "invoice.finalized", "entity_id": "cust_1", **more})],
        now=T0,
    )


async def claim(store: Store, *, seconds: float = 0, owner: str = "w1", room: int = 100, **rooms: int) -> list[Claimed]:
    """Claim what is due so many seconds after the beginning, on `nomod` or on the gates that are given."""
    found = await store.claim_jobs(rooms or {"nomod": room}, owner=owner, now=at(seconds), lease=LEASE)
    return list(found)


async def claim_one(store: Store, *, seconds: float = 0, owner: str = "w1", **rooms: int) -> Claimed:
    """Claim what is due, and return the one job that is expected."""
    found = await claim(store, seconds=seconds, owner=owner, **rooms)
    assert len(found) == 1, f"expected one due job, claimed {[claimed.job.job_id for claimed in found]}"
    return found[0]


async def running_job(store: Store, entity_id: str = "cust_1", **more: Any) -> Claimed:
    """Queue a job and claim it."""
    job = make_job(entity_id, **more)
    await store.add_job(job, now=T0)
    found = await store.claim_jobs({job.gate: 100}, owner="w1", now=T0, lease=LEASE)
    return next(claimed for claimed in found if claimed.job.job_id == job.job_id)


def _of(job: NewJob, delivery_id: str) -> NewJob:
    fields = {name: getattr(job, name) for name in NewJob.__dataclass_fields__}
    return NewJob(**{**fields, "delivery_id": delivery_id})
