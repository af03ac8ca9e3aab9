"""States in words for people, each with a shape and a tone: never colour alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A word, the shape drawn beside it (templates/shapes.html), and the tone that colours both."""

    word: str
    shape: str
    tone: str


GOOD, BUSY, WARN, BAD, QUIET = "good", "busy", "warn", "bad", "quiet"

_DELIVERY = {
    "pending": Said(word="In progress", shape="clock", tone=BUSY),
    "processed": Said(word="Processed", shape="check", tone=GOOD),
    "ignored": Said(word="Ignored", shape="dash", tone=QUIET),
    "failed": Said(word="Failed", shape="cross", tone=BAD),
    "needs_review": Said(word="Needs review", shape="ask", tone=WARN),
}
_JOB = {
    "pending": Said(word="Waiting", shape="clock", tone=BUSY),
    "running": Said(word="Running", shape="clock", tone=BUSY),
    "succeeded": Said(word="Done", shape="check", tone=GOOD),
    "failed": Said(word="Dead letter", shape="cross", tone=BAD),
    "cancelled": Said(word="Cancelled", shape="dash", tone=QUIET),
    "needs_review": Said(word="Needs review", shape="ask", tone=WARN),
}
_MAPPING = {
    "intended": Said(word="Being created", shape="clock", tone=BUSY),
    "linked": Said(word="Linked", shape="check", tone=GOOD),
    "stale": Said(word="Record is gone", shape="warn", tone=WARN),
}
_OUTCOME = {
    "done": Said(word="Done", shape="check", tone=GOOD),
    "created": Said(word="Created", shape="check", tone=GOOD),
    "adopted": Said(word="Adopted", shape="check", tone=GOOD),
    "ignored": Said(word="Nothing to do", shape="dash", tone=QUIET),
    "retry": Said(word="Failed, tried again later", shape="warn", tone=WARN),
    "looking": Said(word="Looked, seen nothing yet", shape="clock", tone=BUSY),
    "waiting": Said(word="Waited for an equal create", shape="clock", tone=BUSY),
    "retired": Said(word="Switched off", shape="dash", tone=QUIET),
    "moved": Said(word="Moved to another customer", shape="dash", tone=QUIET),
    "outcome_unknown": Said(word="Outcome unknown", shape="warn", tone=WARN),
    "review": Said(word="Put before a person", shape="ask", tone=WARN),
    "paused": Said(word="Connection paused", shape="pause", tone=WARN),
    "failed": Said(word="Failed", shape="cross", tone=BAD),
}
_KINDS = {
    "ensure_customer": "Customer", "ensure_invoice": "Invoice", "void_invoice": "Voiding an invoice",
    "ensure_payment_link": "Payment link", "record_payment": "Payment",
    "write_back": "Write-back", "check_mapping": "Mapping check",
}  # fmt: skip
_ORIGINS = {
    "created": "created by ledgergate",
    "adopted_email": "adopted: same e-mail",
    "adopted_name": "adopted: same name",
    "adopted_marker": "adopted: own mark",
    "adopted_number": "adopted: same number",
    "adopted_inactive": "adopted: reactivated",
    "hint": "named by the platform",
    "operator": "chosen by a person",
}
_REVIEWS = {
    "ambiguous": "Which record is it?",
    "inactive": "Only inactive records match",
    "outcome_unknown": "Was it created?",
    "stale": "The linked record is gone",
    "conflict": "The provider refuses a duplicate",
    "amount_differs": "The sums differ",
    "changed": "Changed since it was made",
    "already_paid": "The payment link was paid already",
    "payment_differs": "Another sum was paid",
    "lookup_impossible": "The look-up is not possible",
    "placeholder_email": "A made-up e-mail address",
}

_ALERTS = {
    "connection_paused": "Connection paused",
    "circuit_open": "Provider does not answer",
    "review_waiting": "Decisions wait",
    "dead_letter": "Dead letters",
    "backlog_old": "Work waits for too long",
    "token_expiring": "Consent ends soon",
    "signature_failing": "Webhooks refused",
}


def delivery_said(status: str) -> Said:
    """Return a delivery's state in words."""
    return _said(_DELIVERY, status)


def job_said(job: Any) -> Said:
    """Return a job's state in words: one that has failed before and waits says so."""
    status, outcome = str(job.status), job.outcome
    if status == "succeeded" and outcome == "ignored":
        return Said(word="Nothing to do", shape="dash", tone=QUIET)
    if status == "pending" and job.attempts:  # a count in lists, the attempts themselves in the single view
        return Said(word="Waiting to try again", shape="clock", tone=WARN)
    return _said(_JOB, status)


def mapping_said(status: str) -> Said:
    """Return a mapping's state in words."""
    return _said(_MAPPING, status)


def outcome_said(outcome: str) -> Said:
    """Return an attempt's outcome in words."""
    return _said(_OUTCOME, outcome)


def kind_said(kind: str) -> str:
    """Return what a job is for."""
    return _KINDS.get(kind, kind.replace("_", " ").capitalize())


def origin_said(origin: str | None) -> str:
    """Return how a mapping came to be."""
    return _ORIGINS.get(origin or "", (origin or "").replace("_", " "))


def review_said(kind: str) -> str:
    """Return a review's question."""
    return _REVIEWS.get(kind, kind.replace("_", " ").capitalize())


def alert_said(kind: str) -> str:
    """Return what an alert is about."""
    return _ALERTS.get(kind, kind.replace("_", " ").capitalize())


def decision_said(decision: Mapping[str, Any] | None) -> str:
    """Return what an attempt has decided and why, in one sentence; empty for none."""
    if not decision:
        return ""
    kind, why, record = str(decision.get("decision", "")), str(decision.get("why") or ""), decision.get("record")
    if kind == "link":
        verb = "Created" if decision.get("origin") == "created" else "Linked"
        return f"{verb} {record}: {why}." if why else f"{verb} {record}."
    heads = {
        "linked": f"Linked to {record} already.",
        "ask": f"Asked a person: {why}.",
        "create": f"Create: {why}.",
        "void": f"{record}: {why}.",
        "look_again": f"Look again: {why}.",
        "write_back": f"The platform was told: {why}.",
    }
    return heads.get(kind, f"{kind.replace('_', ' ').capitalize()}: {why}.")


def _said(table: Mapping[str, Said], status: str) -> Said:
    return table.get(str(status)) or Said(word=str(status).replace("_", " ").capitalize(), shape="dash", tone=QUIET)
