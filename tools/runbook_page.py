"""Writes the part of docs/runbook.md that is made: for every error code what it means and what to run; `--check`."""

from pathlib import Path

from gateway.errors.catalogue import ErrorEntry
from tools import marked
from tools.errors_page import entries

PAGE = Path(__file__).parent.parent / "docs" / "runbook.md"

MEANS = {
    "retry": "The job is tried again on the retry schedule, and becomes a dead letter when that has ended.",
    "pause": "The connection is paused. Its jobs wait, use up no attempt, and run once it is resumed.",
    "fail": "A job that ends so is a dead letter: kept with its cause, until a person retries or cancels it.",
    "review": "The job waits for a person's decision. Nothing is created or linked meanwhile.",
    "none": "Only what met it is concerned; nothing that was acknowledged is lost.",
}
REFUSED = "It was refused, and nothing was changed. No job is concerned."
REFUSALS = frozenset(
    {
        "account_changed", "already_exists", "cannot_listen", "config_invalid", "consent_invalid", "forbidden",
        "gateway_unreachable", "invoice_not_payable", "malformed_request", "method_not_allowed",
        "payload_too_large", "record_unknown", "request_invalid", "route_unknown", "secret_key_wrong",
        "setting_invalid", "signature_invalid", "source_unknown", "too_many_requests", "unauthorized",
        "unsupported_media_type"
    }
)  # fmt: skip
"""Codes that only a request, a command or a start meets."""
UNSENT = "The message is tried again on the retry schedule, and given up at its end. No job is concerned."
OTHERWISE = {
    "alert_address_refused": UNSENT,
    "alert_not_delivered": UNSENT,
    "mail_not_configured": UNSENT,
    "capability_missing": "A request is refused, and nothing is changed. A job that ends so is a dead letter; its"
    " connection goes on for all else.",
    "invoice_voided": "The decision is refused, and nothing is changed. The review stays open for another one.",
    "not_offered": "The invoice's job ends as ignored, with the reason; its customer is made and linked all the same.",
}
"""What happens instead, where it is not the action's own course."""
PERHAPS = "Something may have been created at the provider; a retry is safe: the gateway looks before it creates."

JOBS = ["job list --error-code {code}", "job show JOB_ID"]
FOLLOW = {
    "retry": [*JOBS, "doctor --quiet", "job retry --status pending --error-code {code}"],
    "pause": ["connection show NAME", "connection test NAME", "connection resume NAME"],
    "fail": [*JOBS, "job retry --error-code {code} --dry-run", "job retry --error-code {code}"],
    "review": [
        "review list",
        "review show REVIEW_ID",
        "review resolve REVIEW_ID --decision adopt --provider-entity-id RECORD_ID",
    ],
    "none": ["doctor"],
}
"""What to run about an error, by what the gateway does about it."""

SOURCE = ["source list", "source show NAME"]
CHANNEL = ["channel list", "channel show NAME", "channel test NAME"]
HEADERS = " ".join(f"--header 'webhook-{part}: …'" for part in ("id", "timestamp", "signature"))
OWN: dict[str, list[str]] = {
    "account_changed": ["connection show NAME", "connection authorize NAME"],
    "alert_address_refused": [*CHANNEL],
    "alert_not_delivered": [*CHANNEL],
    "already_exists": ["source list", "connection list"],
    "body_pruned": ["delivery show DELIVERY_ID", "job list --delivery-id DELIVERY_ID", "job retry JOB_ID"],
    "cannot_listen": ["doctor --offline"],
    "capability_missing": ["connector list", *FOLLOW["fail"]],
    "config_invalid": ["apply ledgergate.toml --dry-run"],
    "conflict": ["job show JOB_ID", "review list"],
    "consent_invalid": ["connection authorize NAME"],
    "cursor_invalid": [],
    "customer_not_found": [*FOLLOW["fail"]],
    "forbidden": ["key list"],
    "gateway_unreachable": ["doctor --offline"],
    "guard_busy": [*JOBS],
    "internal": [*JOBS, "doctor"],
    "invoice_not_found": [*FOLLOW["fail"]],
    "invoice_not_payable": [],
    "invoice_voided": [
        "review show REVIEW_ID",
        "review resolve REVIEW_ID --decision ignore",
        "review resolve REVIEW_ID --decision adopt --provider-entity-id RECORD_ID",
    ],
    "lease_lost": ["doctor"],
    "mail_not_configured": ["channel list", "channel test NAME"],
    "malformed_request": [*SOURCE],
    "method_not_allowed": [],
    "needs_reauth": ["connection show NAME", "connection authorize NAME", "connection test NAME"],
    "not_found": ["key list"],
    "not_offered": ["connection show NAME", "delivery replay DELIVERY_ID"],
    "outcome_unknown": [
        "review list --kind outcome_unknown",
        "review show REVIEW_ID",
        "review resolve REVIEW_ID --decision adopt --provider-entity-id RECORD_ID",
        "review resolve REVIEW_ID --decision create",
    ],
    "overloaded": ["doctor", "delivery list --status pending"],
    "payload_invalid": [
        "delivery list --status failed",
        "delivery show DELIVERY_ID --body",
        "delivery replay DELIVERY_ID",
    ],
    "payload_too_large": [*SOURCE],
    "payment_differs": [
        "review list --kind payment_differs",
        "review show REVIEW_ID",
        "review resolve REVIEW_ID --decision ignore",
    ],
    "plugin_unusable": ["connector list", "doctor", "connection resume NAME"],
    "record_unknown": ["mapping list --entity-id CUSTOMER_ID"],
    "request_invalid": [],
    "route_unknown": [],
    "schema_unknown": ["doctor --offline", "--version"],
    "secret_key_wrong": ["doctor --offline"],
    "setting_invalid": ["doctor --offline"],
    "signature_invalid": [
        *SOURCE,
        f"signature verify body.json --source NAME {HEADERS}",
        "source rotate-secret NAME",
    ],
    "source_authentication_failed": [
        *SOURCE,
        "apply ledgergate.toml",
        "job retry --status pending --error-code {code}",
    ],
    "source_unknown": ["source list", "source enable NAME"],
    "storage_failed": ["doctor"],
    "store_unavailable": ["doctor", "db prune --dry-run"],
    "too_many_requests": ["key list"],
    "unauthorized": ["key list", "key create NAME"],
    "unsupported_media_type": [],
    "value_unstorable": ["delivery list --status failed"],
}
"""What to run instead, where an error is not met by jobs, or has a way of its own."""


def commands(entry: ErrorEntry) -> list[str]:
    """Return what to run about an error."""
    found = OWN.get(entry.code, FOLLOW[entry.action])
    return [f"ledgergate {line.replace('{code}', entry.code)}" for line in found]


def section(entry: ErrorEntry) -> str:
    """Return what the page says of a code."""
    parts = [
        f"### `{entry.code}`",
        f"**{entry.title}.** {entry.cause}",
        f"*What happens.* {REFUSED if entry.code in REFUSALS else OTHERWISE.get(entry.code, MEANS[entry.action])}"
        + (f" {PERHAPS}" if entry.may_have_written else ""),
        f"*What to do.* {entry.resolution}",
    ]
    if run := commands(entry):
        parts.append("\n".join(["```console", *(f"$ {line}" for line in run), "```"]))
    return "\n\n".join(parts)


def made() -> dict[str, str]:
    """Return the made part of the page, by its name."""
    return {"codes": "\n\n".join(section(entry) for entry in entries())}


if __name__ == "__main__":
    raise SystemExit(marked.run(PAGE, made()))
