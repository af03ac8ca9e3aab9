"""An invoice that the platform voids while its review is open, its job waits, or its create is in doubt."""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any

import pytest

from connectors.testing.simulator import Fault, FaultKind
from storage.records import DeliveryStatus, JobStatus, MappingStatus
from tests.harness import NOMOD, QUICKBOOKS, Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


class Books(ABC):
    """One provider's books, as its own ledger has them."""

    create: str
    search: str
    connection: str

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    @abstractmethod
    async def connect(self, **config: Any) -> None:
        """Configure the connection."""

    @abstractmethod
    def add_tax(self) -> None:
        """Have the account add a tax of its own, which makes every total another one."""

    @abstractmethod
    def fault(self, fault: Fault) -> None:
        """Plan a fault."""

    @abstractmethod
    def clear(self) -> None:
        """End all faults."""

    @abstractmethod
    def sent(self) -> int:
        """Return how many creates have arrived, whatever became of them."""

    @abstractmethod
    def invoices(self) -> dict[str, bool]:
        """Return the ids of all invoices, and whether each is void."""


class NomodBooks(Books):
    """Nomod."""

    create, search, connection = "POST /v1/invoices", "GET /v1/invoices", NOMOD

    async def connect(self, **config: Any) -> None:
        await self.rig.add_nomod(invoices=True, **config)

    def add_tax(self) -> None:
        self.rig.nomod.account_tax = Decimal(5)

    def fault(self, fault: Fault) -> None:
        self.rig.nomod.faults.add(fault)

    def clear(self) -> None:
        self.rig.nomod.faults.clear()

    def sent(self) -> int:
        return len(self.rig.nomod.calls_of(self.create))

    def invoices(self) -> dict[str, bool]:
        return {key: each["status"] == "cancelled" for key, each in self.rig.nomod.invoices.items()}


class QuickBooks(Books):
    """QuickBooks."""

    create, search, connection = "POST /v3/company/*/invoice", "GET /v3/company/*/query", QUICKBOOKS

    async def connect(self, **config: Any) -> None:
        await self.rig.add_quickbooks(invoices=True, **config)

    def add_tax(self) -> None:
        self.rig.intuit.quirks.sales_tax_rate = Decimal("0.10")

    def fault(self, fault: Fault) -> None:
        self.rig.intuit.faults.add(fault)

    def clear(self) -> None:
        self.rig.intuit.faults.clear()

    def sent(self) -> int:
        return len([call for call in self.rig.intuit.calls_of(self.create) if "operation" not in call.query])

    def invoices(self) -> dict[str, bool]:
        return {key: not each["TotalAmt"] for key, each in self.rig.intuit.invoices.items()}


@pytest.fixture(params=[NomodBooks, QuickBooks])
async def books(request: pytest.FixtureRequest, rig: Rig) -> Books:
    await rig.add_flexprice()
    found: Books = request.param(rig)
    await found.connect()
    return found


async def bill(rig: Rig, **invoice: Any) -> str:
    """Finalize an invoice in dollars for Ada, and return the id of the delivery."""
    return await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], **{"currency": "usd", "tax": "75", **invoice})


async def void(rig: Rig, *, tell: bool = True) -> str:
    """Void the one invoice at the platform; return the id of the webhook's delivery, unless nothing is told."""
    [invoice] = rig.flexprice.invoices
    rig.flexprice.void_invoice(invoice)
    event = {"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]}
    return await rig.send(event) if tell else ""


async def shown(rig: Rig, **where: str) -> dict[str, Any]:
    """Return the one review as the API shows it."""
    query = "&".join(f"{name}={value}" for name, value in where.items())
    [review] = (await rig.api("GET", f"/api/v1/reviews?{query}"))[1]["items"]
    return dict(review)


async def decide(rig: Rig, decision: str, record: str | None = None) -> tuple[int, dict[str, Any]]:
    """Decide the one open review over the API."""
    review = await rig.open_review()
    body = {"decision": decision, **({"provider_entity_id": record} if record else {})}
    status, answer = await rig.api("POST", f"/api/v1/reviews/{review.review_id}/resolve", body)
    return status, dict(answer)


# While a review is open --------------------------------------------------------------------------------------------


async def test_a_review_says_that_the_invoice_was_voided_and_nothing_is_created(rig: Rig, books: Books) -> None:
    await bill(rig, total="1499.99", amount_due="1499.99")
    await rig.finish()
    assert (await shown(rig))["voided_at"] is None
    told = await void(rig)
    await rig.finish()
    review = await shown(rig)
    assert (review["status"], review["kind"]) == ("open", "amount_differs")
    assert review["voided_at"]
    assert "voided" in next(each["does"] for each in review["choices"] if each["decision"] == "create")
    assert (await rig.delivery(told)).status is DeliveryStatus.IGNORED
    status, problem = await decide(rig, "create")
    assert (status, problem["code"]) == (409, "invoice_voided")
    assert (await decide(rig, "ignore"))[0] == 200
    await rig.finish()
    await rig.check()
    assert not books.invoices()


async def test_a_record_that_waits_for_a_decision_is_voided_with_its_adoption(rig: Rig, books: Books) -> None:
    """The account has made another sum of it; the record is there, and linked to nothing."""
    books.add_tax()
    await bill(rig)
    await rig.finish()
    [record] = books.invoices()
    await void(rig)
    await rig.finish()
    assert books.invoices() == {record: False}
    review = await shown(rig)
    assert "void" in next(each["does"] for each in review["choices"] if each["decision"] == "adopt")
    assert (await decide(rig, "adopt", record))[1]["voided_at"]
    await rig.finish()
    await rig.check()
    assert books.invoices() == {record: True}
    [mapping] = await rig.mappings(entity_type="invoice")
    assert (mapping.provider_entity_id, mapping.origin, "voided_at" in mapping.notes) == (record, "operator", True)


async def test_a_decision_that_was_taken_before_the_void_was_heard_of_creates_nothing(rig: Rig, books: Books) -> None:
    books.add_tax()
    await bill(rig)
    await rig.finish()
    [record] = books.invoices()
    await void(rig, tell=False)
    assert (await decide(rig, "create"))[0] == 200
    await rig.finish()
    [job] = await rig.jobs(kind="ensure_invoice")
    assert (job.status, job.outcome) == (JobStatus.SUCCEEDED, "ignored")
    assert "VOIDED" in str(job.reason)
    assert books.invoices() == {record: False}


# While the job waits -----------------------------------------------------------------------------------------------


async def test_a_job_that_waits_for_its_next_try_makes_nothing(rig: Rig, books: Books) -> None:
    books.fault(Fault(kind=FaultKind.REFUSE, route=books.create, status=503, times=1000))
    books.fault(Fault(kind=FaultKind.FAIL_BEFORE, route=books.search, times=1000))
    made = await bill(rig)
    await rig.live(60)
    told = await void(rig)
    books.clear()
    await rig.finish()
    await rig.check(all_linked=not await rig.mappings(status=MappingStatus.INTENDED))
    assert {(await rig.delivery(each)).status for each in (made, told)} <= {"ignored", "processed"}
    assert not books.invoices()


# While the create is in doubt --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("told", [True, False])
async def test_a_create_in_doubt_is_never_sent_again_and_what_it_has_made_is_voided(
    rig: Rig, books: Books, kind: FaultKind, told: bool
) -> None:
    """Also where the void's webhook never comes: the platform is asked before anything is sent again."""
    books.fault(Fault(kind=kind, route=books.create))
    await bill(rig)
    await rig.until(books.sent)
    await void(rig, tell=told)
    await rig.finish()
    await rig.check(all_linked=True)
    assert list(books.invoices().values()) == ([True] if kind is FaultKind.DROP_AFTER else [])
    assert books.sent() == 1


async def in_doubt(rig: Rig, books: Books, kind: FaultKind) -> None:
    """Lose the answer to a create, and all answers for days, until a person is asked; then all is well again."""
    books.fault(Fault(kind=kind, route=books.create))
    await bill(rig)
    await rig.until(books.sent)
    for route in (books.search, books.create):
        books.fault(Fault(kind=FaultKind.DROP_BEFORE, route=route, times=100_000))
    await rig.finish()
    assert (await rig.open_review()).kind == "outcome_unknown"
    books.clear()


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
async def test_a_question_about_a_create_in_doubt_is_answered_by_looking_once_more(
    rig: Rig, books: Books, kind: FaultKind
) -> None:
    await in_doubt(rig, books, kind)
    told = await void(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert list(books.invoices().values()) == ([True] if kind is FaultKind.DROP_AFTER else [])
    review = await shown(rig)
    assert (review["status"], review["voided_at"] is not None) == ("resolved", True)
    made = kind is FaultKind.DROP_AFTER
    assert (await rig.delivery(told)).status is (DeliveryStatus.PROCESSED if made else DeliveryStatus.IGNORED)


@pytest.mark.parametrize("decision", ["create", "adopt", "ignore"])
async def test_whatever_is_decided_of_a_create_in_doubt_before_the_void_is_heard_of(
    rig: Rig, books: Books, decision: str
) -> None:
    """A person wants another one, since none can be seen there; the platform has voided it by then."""
    await in_doubt(rig, books, FaultKind.DROP_AFTER)
    [record] = books.invoices()
    sent = books.sent()
    await void(rig, tell=False)
    assert (await decide(rig, decision, record if decision == "adopt" else None))[0] == 200
    await rig.finish()
    await rig.check()
    assert books.invoices() == {record: decision != "ignore"}
    assert books.sent() == sent
    if decision == "ignore":
        told = await void(rig)
        await rig.finish()
        assert (await rig.delivery(told)).status is DeliveryStatus.IGNORED
        assert books.invoices() == {record: False}, "a person has said to leave both sides as they are"
