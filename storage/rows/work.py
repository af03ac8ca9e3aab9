"""From rows to deliveries and requests refused, jobs and their attempts, and reviews."""

from storage import scalars
from storage.records import Attempt, Delivery, DeliveryStatus, Job, JobStatus, Rejection, Review, ReviewStatus
from storage.rows.row import Row


def delivery(row: Row, *, whole: bool = False) -> Delivery:
    """Return a delivery; `whole` says that the query has its headers and body."""
    return Delivery(
        delivery_id=row["delivery_id"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        delivery_key=row["delivery_key"],
        event_type=row["event_type"],
        entity_id=row["entity_id"],
        subject=row["subject"],
        received_at=scalars.moment(row["received_at"]),
        status=DeliveryStatus(row["status"]),
        reason=row["reason"],
        scheme=row["scheme"],
        secret_index=row["secret_index"],
        replays=row["replays"],
        body_bytes=row["body_bytes"],
        headers=row["headers"] if whole else None,
        body=row["body"] if whole else None,
    )


def rejection(row: Row) -> Rejection:
    """Return a refused request."""
    return Rejection(
        source=row["source"],
        at=scalars.moment(row["at"]),
        reason=row["reason"],
        headers=scalars.loads(row["headers"]),
        body_sha256=row["body_sha256"],
        body_bytes=row["body_bytes"],
    )


def job(row: Row) -> Job:
    """Return a job."""
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        gate=row["gate"],
        lock_key=row["lock_key"],
        delivery_id=row["delivery_id"],
        connection=row["connection"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        subject=row["subject"],
        payload=scalars.loads(row["payload"]),
        status=JobStatus(row["status"]),
        outcome=row["outcome"],
        reason=row["reason"],
        error=scalars.loads(row["error"]),
        attempts=row["attempts"],
        failures=row["failures"],
        fence=row["fence"],
        next_attempt_at=scalars.moment_or_none(row["next_attempt_at"]),
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def attempt(row: Row) -> Attempt:
    """Return an attempt."""
    return Attempt(
        number=row["number"],
        started_at=scalars.moment(row["started_at"]),
        finished_at=scalars.moment(row["finished_at"]),
        outcome=row["outcome"],
        error=scalars.loads(row["error"]),
        exchanges=scalars.loads(row["exchanges"]),
        decision=scalars.loads(row["decision"]),
        worker=row["worker"],
    )


def review(row: Row) -> Review:
    """Return a review."""
    return Review(
        review_id=row["review_id"],
        job_id=row["job_id"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        connection=row["connection"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        kind=row["kind"],
        reason=row["reason"],
        candidates=scalars.loads(row["candidates"]),
        customer=scalars.loads(row["customer"]),
        status=ReviewStatus(row["status"]),
        decision=row["decision"],
        provider_entity_id=row["provider_entity_id"],
        created_at=scalars.moment(row["created_at"]),
        resolved_at=scalars.moment_or_none(row["resolved_at"]),
        resolved_by=row["resolved_by"],
        voided_at=scalars.moment_or_none(row["voided_at"]),
    )
