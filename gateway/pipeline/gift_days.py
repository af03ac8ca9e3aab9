"""The gifts of a day as one document: which day a gift is of, which gifts a document has, and who makes it.

Each gift keeps a job of its own, so that none is forgotten: it is moved to its day's document, waits until the day has
ended everywhere, and ends when its gift stands in a document. Two facts make that exact. Both are written once:

of a gift   the day that it is of, when it is first heard of: however often it is told of, it is of that day
of a day    the gifts and amounts of a document, before anything is asked of the provider: it never has others

A gift that comes to a document which is sealed goes on to the day's next one, a correction with a number of its own.
The rest is the dangerous order, as for every document: the day's is the thing that exists once (ensure.py).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import orjson

from connectors.errors import ConnectorError
from connectors.invoices import Document, Invoice, InvoiceLine, InvoiceSync
from connectors.money import total
from gateway.errors import GatewayError
from gateway.pipeline.dispatch import ENSURE_INVOICE, lock_key
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from storage import Store
from storage.records import Job, JobStatus, MappingStatus

DAY = "gift-day:"
"""Before the id of a day's document: `gift-day:2026-11-28:USD`, and `gift-day:2026-11-28:USD:2` for a correction."""
ENDED = timedelta(days=1, hours=13)
"""After the midnight in UTC with which a date begins: it has ended everywhere by noon, and late gifts have an hour."""
GATHERING = timedelta(hours=1)
"""How long a correction waits, for others that are late as well."""
AHEAD = timedelta(hours=14)
"""So far the earliest place is before UTC: a date that is later still is a wrong clock's."""
MOST = 750
"""Gifts in one document, as many as QuickBooks takes lines; the others are the next one's."""
FOLLOWING_SECONDS = (60.0, 86_400.0)
"""How long a gift's job stays away while another gift's makes their document: at first, and at most."""
_OPEN = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FAILED, JobStatus.NEEDS_REVIEW})


class GiftDays:
    """Places gifts in the documents of their days."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now

    async def is_led_by_another(self, work: Work) -> bool:
        """Whether the job of an older gift makes the document: only one job asks the provider, or a person."""
        mapping = work.claimed.mapping
        if not is_day(work.claimed.job) or (mapping is not None and mapping.status is MappingStatus.LINKED):
            return False
        oldest = next(iter(await self._jobs(work)), work.claimed.job)
        return oldest.job_id != work.claimed.job.job_id

    async def of(self, work: Work, receipt: Invoice) -> Invoice | Result:
        """Return what a gift is booked with: its own receipt, or its day's; or how the attempt ends until then.

        Raises ConnectorError kinds for a gift that no document could hold: it must not spoil the others'.
        """
        job = work.claimed.job
        if not is_day(job):
            day = await self._day(work, receipt)
            return receipt if day is None else self._moved(work, day, at=max(ends(day), self._now() + GATHERING))
        document = job.entity_id or ""
        sealed = await self._store.get_fact(self._owner(work, "gift_days"), document)
        if sealed is None:
            if self._now() < ends(document):
                return self._moved(work, document, at=ends(document))
            told = orjson.dumps(await self._gathered(work)).decode()
            sealed = await self._store.keep_fact(self._owner(work, "gift_days"), document, told, now=self._now())
        gifts: dict[str, str] = orjson.loads(sealed)
        if job.subject not in gifts:
            return self._moved(work, following(document), at=self._now() + GATHERING)
        return summed(receipt, document, gifts)

    async def _day(self, work: Work, receipt: Invoice) -> str | None:
        """Return the document that a gift was first meant for, or None where it has a receipt of its own."""
        if work.claimed.mapping is not None:
            return None
        connector, gift = work.connector, work.claimed.job.subject or ""
        if not (isinstance(connector, InvoiceSync) and connector.sums_receipts):
            return await self._store.get_fact(self._owner(work, "gifts"), gift)
        connector.validate_invoice(receipt)
        latest = (self._now() + AHEAD).date()
        day = min(receipt.issued_on or work.claimed.job.created_at.date(), latest)
        document = f"{DAY}{day.isoformat()}:{receipt.currency}"
        return await self._store.keep_fact(self._owner(work, "gifts"), gift, document, now=self._now())

    async def _gathered(self, work: Work) -> dict[str, str]:
        """Return the gifts whose jobs wait for this document, each once, with what was given."""
        gifts: dict[str, str] = {}
        for job in await self._jobs(work):
            if len(gifts) == MOST:
                break
            amount = await self._amount(work, job)
            if amount is not None and job.subject is not None:
                gifts.setdefault(job.subject, f"{amount:f}")
        return gifts

    async def _amount(self, work: Work, job: Job) -> Decimal | None:
        """Return what was given; None where that cannot be read any more, which the gift's own job tells of."""
        delivery = await self._store.get_delivery(job.delivery_id) if job.delivery_id is not None else None
        if delivery is None or delivery.body is None:
            return None
        try:
            receipt = work.source.receipt(work.source.parse(delivery.body))
        except (GatewayError, ConnectorError):
            return None
        return receipt.total if isinstance(receipt, Invoice) else None

    async def _jobs(self, work: Work) -> list[Job]:
        """Return the jobs that wait for this one's document, this one among them, the oldest first."""
        mine, found, cursor = work.claimed.job, list[Job](), None
        while True:
            page = await self._store.list_jobs(
                source=mine.source, connection=mine.connection, kind=ENSURE_INVOICE, entity_id=mine.entity_id,
                limit=200, cursor=cursor,
            )  # fmt: skip
            found += [job for job in page.items if job.status in _OPEN]
            cursor = page.next_cursor
            if cursor is None:
                return sorted(found, key=lambda job: (job.created_at, job.job_id))

    def _moved(self, work: Work, document: str, *, at: datetime) -> Result:
        job = work.claimed.job
        return Result(
            status=JobStatus.PENDING, outcome="moved", next_attempt_at=at, entity_id=document,
            reason=f"booked with the gifts of its day: {document.removeprefix(DAY)}",
            lock_key=lock_key(ENSURE_INVOICE, job.source, document, job.connection or ""),
        )  # fmt: skip

    @staticmethod
    def _owner(work: Work, what: str) -> str:
        return f"{what}:{work.claimed.job.connection}:{work.claimed.job.source}"


def is_day(job: Job) -> bool:
    """Whether a job is about the document of a day, and not about a gift whose id looks like one."""
    return job.entity_id != job.subject and (job.entity_id or "").startswith(DAY)


def ends(document: str) -> datetime:
    """Return when the day of a document has ended everywhere, and late gifts have come."""
    return datetime.combine(_parts(document)[0], time(), UTC) + ENDED


def following(document: str) -> str:
    """Return the document for gifts that come after this one was sealed."""
    day, currency, number = _parts(document)
    return f"{DAY}{day.isoformat()}:{currency}:{number + 1}"


def summed(receipt: Invoice, document: str, gifts: dict[str, str]) -> Invoice:
    """Return the document: a line for each gift, in its words the gift's id. `receipt` is that of any of them."""
    day, currency, number = _parts(document)
    item = receipt.lines[0].item
    lines = tuple(InvoiceLine(description=gift, amount=Decimal(text), item=item) for gift, text in gifts.items())
    whole = total(line.amount for line in lines)
    return Invoice(
        source=receipt.source, platform=receipt.platform, environment_id=receipt.environment_id, invoice_id=document,
        customer_id="", currency=currency, document=Document.RECEIPT, lines=lines, total=whole, amount_due=whole,
        number=f"GIFTS-{day:%Y%m%d}-{currency}{f'-{number}' if number > 1 else ''}", issued_on=day,
    )  # fmt: skip


def _parts(document: str) -> tuple[date, str, int]:
    day, currency, *number = document.removeprefix(DAY).split(":")
    return date.fromisoformat(day), currency, int(number[0]) if number else 1
