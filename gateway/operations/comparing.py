"""Candidates beside what the platform has: which fields differ, what each decision does, and how it is taken back."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from gateway.operations.views import View
from gateway.pipeline.dispatch import PAYMENT_LINK
from gateway.pipeline.matching import normal_email, normal_name
from gateway.pipeline.work import CUSTOMER
from storage.records import Review, ReviewStatus

Text = Mapping[str, Any]


class Choice(View):
    """One thing that a person can decide, and what follows."""

    decision: str = Field(description="`adopt`, `create` or `ignore`.")
    does: str
    warning: str | None = Field(description="What to do or to know before.")


def differing(asked: Text, found: Text) -> list[str]:
    """Return which of name, email, phone, number and total differ; what one side lacks does not."""
    return [name for name, normal in _NORMAL.items() if _differs(asked.get(name), found.get(name), normal)]


def choices(review: Review) -> list[Choice]:
    """Return what can be decided about an open question."""
    if review.voided_at is not None:
        return _choices_of_a_link_once_voided() if review.entity_type == PAYMENT_LINK else _choices_once_voided()
    if review.kind == "changed":
        return _choices_once_changed()
    unknown = review.kind == "outcome_unknown"
    what = review.entity_type.replace("_", " ")
    return [
        Choice(
            decision="adopt", does=f"Links the {what} to the record that you name, from now on. Nothing is created.",
            warning="A wrong link mixes two accounts: compare what differs.",
        ),
        Choice(
            decision="create", does="Makes a new record at the provider, beside whatever is there, and links it.",
            warning="Look at the provider first: an earlier create may have gone through." if unknown
            else "No connector deletes: a record that was made stays.",
        ),
        Choice(
            decision="ignore", does="Cancels this job, and does nothing at the provider. The next event asks again.",
            warning=None,
        ),
    ]  # fmt: skip


def _choices_once_voided() -> list[Choice]:
    """Return what can be decided about an invoice that the platform has voided since the question was asked."""
    return [
        Choice(
            decision="adopt",
            does="Links the invoice to the record that you name, and voids that record: the platform has voided the"
            " invoice.",
            warning="A wrong record is voided for good: compare what differs.",
        ),
        Choice(
            decision="create", does="Is refused: the platform has voided the invoice, and none is created any more.",
            warning=None,
        ),
        Choice(
            decision="ignore", does="Cancels this job, and does nothing at the provider.",
            warning="A record that is there goes on asking for payment.",
        ),
    ]  # fmt: skip


def _choices_of_a_link_once_voided() -> list[Choice]:
    """Return what can be decided about a payment link whose invoice the platform has voided meanwhile."""
    return [
        Choice(
            decision="adopt",
            does="Links the invoice to the payment link that you name, which is switched off and given to nobody: the"
            " platform has voided the invoice. Money that came by it is put before you.",
            warning=None,
        ),
        Choice(
            decision="create", does="Is refused: the platform has voided the invoice, and no link is made any more.",
            warning=None,
        ),
        Choice(
            decision="ignore",
            does="Cancels this job. What carries the invoice's mark is switched off whatever you decide.",
            warning=None,
        ),
    ]  # fmt: skip


def _choices_once_changed() -> list[Choice]:
    """Return what can be decided about an invoice whose sum at the platform is another than the one that was made."""
    return [
        Choice(
            decision="adopt", does="Keeps the link as it is. Name the record that is linked; nothing is changed in it.",
            warning=None,
        ),
        Choice(
            decision="create", does="Keeps the link as it is: one invoice is not made twice.",
            warning="For another one, void this one at the platform, and finalize a new one there.",
        ),
        Choice(decision="ignore", does="Cancels this job. The next event about the invoice asks again.", warning=None),
    ]  # fmt: skip


def undo(review: Review) -> str | None:
    """Return how a decision that was taken is taken back, as far as it can be; None for an open question."""
    decision = review.decision if review.status is ReviewStatus.RESOLVED else None
    kind = "" if review.entity_type == CUSTOMER else f" --entity-type {review.entity_type}"
    about = f"{review.source} {review.entity_id} {review.connection}"
    if decision in ("adopt", "create"):
        kept = " The record that was made stays at the provider." if decision == "create" else ""
        return (
            f"`ledgergate mapping link {about} RECORD{kind}` links the right record instead, and tells the platform."
            f" `ledgergate mapping unlink {about}{kind}` forgets the link: the next event looks anew, and begins with"
            f" the id that the platform keeps of it.{kept}"
        )
    return f"`ledgergate job retry {review.job_id}` asks again." if decision == "ignore" and review.job_id else None


def _differs(asked: Any, found: Any, normal: Callable[[str], Any]) -> bool:
    if not asked or not found:
        return False
    if normal is normal_email:
        return normal_email(str(asked)) not in {normal_email(part) for part in str(found).split(",") if part.strip()}
    return bool(normal(str(asked)) != normal(str(found)))


def _digits(phone: str) -> str:
    return "".join(filter(str.isdigit, phone))[-9:]


_NORMAL: Mapping[str, Callable[[str], Any]] = {
    "name": normal_name, "email": normal_email, "phone": _digits, "number": str, "total": str,
}  # fmt: skip
