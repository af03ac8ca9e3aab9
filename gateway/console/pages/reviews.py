"""One decision: the candidates side by side with the customer, what differs marked, and what each choice will do."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from connectors.errors import ConnectorError
from gateway.console.visit import Visit
from gateway.errors import GatewayError, RequestInvalidError, problem, status_of
from gateway.operations.reviews import CandidateView, Decision, ReviewView
from gateway.pipeline.dispatch import PAYMENT_LINK
from storage.errors import StorageError

MAX_ID = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A candidate's value of one field; `differs` when it is another than the customer's, None where none can tell."""

    text: str
    differs: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One field: the customer's value, then each candidate's."""

    name: str
    customer: str
    cells: list[Cell]


async def show(visit: Visit) -> web.StreamResponse:
    """Show one review."""
    review = await visit.operations.reviews.get(visit.part("review_id"), visit.scope)
    return await _page(visit, review)


async def resolve(visit: Visit) -> web.StreamResponse:
    """Record a decision. What speaks against it is said on the page, and nothing is decided then."""
    review_id, form = visit.part("review_id"), visit.form
    review = await visit.operations.reviews.get(review_id, visit.scope)
    done = "switched off" if review.entity_type == PAYMENT_LINK else "voided"
    then = f", which is then {done}" if review.voided_at is not None else ""
    try:
        if form.text("decision") not in list(Decision):
            raise RequestInvalidError("choose what to do")
        decision = Decision(form.text("decision"))
        record = form.text("provider_entity_id")[:MAX_ID] if decision is Decision.ADOPT else ""
        if decision is Decision.ADOPT and not record:
            raise RequestInvalidError("enter the id of the record")
        await visit.operations.reviews.resolve(
            review_id, visit.scope, decision=decision, provider_entity_id=record or None, actor=visit.who.actor
        )
    except (GatewayError, ConnectorError, StorageError) as error:
        return await _page(visit, review, error=error)
    said = {
        Decision.ADOPT: f"{review.entity_id} is being linked to {record}{then}.",
        Decision.CREATE: f"A new record is being created for {review.entity_id}.",
        Decision.IGNORE: "Nothing is done; the job is cancelled.",
    }[decision]
    return visit.go("/needs", said)


async def _page(visit: Visit, review: ReviewView, *, error: Exception | None = None) -> web.Response:
    live = visit.console.registry.connections.get(review.connection or "")
    connector = live.connector if live is not None else None
    links = {
        each.provider_entity_id: connector.console_url(each.provider_entity_id) if connector is not None else None
        for each in review.candidates
    }
    return await visit.page(
        "review.html", review=review, lines=lines(review), links=links, error=problem(error) if error else None,
        title=connector.title if connector is not None else review.connection or "the provider",
        status=status_of(error) if error else 200,
    )  # fmt: skip


def lines(review: ReviewView) -> list[Line]:
    """Return the fields side by side."""
    asked, found = review.customer, list(review.candidates)
    name, email, phone = (asked.name or "", asked.email or "", asked.phone or "") if asked else ("", "", "")

    number, total = (asked.number or "", asked.total or "") if asked else ("", "")
    table = [
        Line(name="Name", customer=name, cells=_cells("name", name, found)),
        Line(name="E-mail", customer=email, cells=_cells("email", email, found)),
        Line(name="Phone", customer=phone, cells=_cells("phone", phone, found)),
        Line(name="Number", customer=number, cells=_cells("number", number, found)),
        Line(name="Sum", customer=total, cells=_cells("total", total, found)),
        Line(name="State", customer="", cells=[Cell(text=_state(each)) for each in found]),
        Line(name="Kind", customer="", cells=[Cell(text=each.kind or "") for each in found]),
    ]
    return [line for line in table if line.customer or any(cell.text for cell in line.cells)]


def _state(found: CandidateView) -> str:
    return found.state or ("active" if found.active else "inactive")


def _cells(field: str, value: str, found: Sequence[CandidateView]) -> list[Cell]:
    cells = []
    for each in found:
        text = getattr(each, field) or ""
        cells.append(Cell(text=text, differs=field in each.differs if value and text else None))
    return cells
