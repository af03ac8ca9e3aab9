"""Rules about invoices, for connectors with `InvoiceSync`: one stays one, with just its sum, whatever happens."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.errors import ConnectorError
from connectors.invoices import Invoice, InvoiceCandidate, InvoiceLine, InvoiceStatus, Reduction, TaxLine
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.rulebook import Kit, Tier, require, rule
from connectors.testing.rules.creates import AFTER, BEFORE, agrees_without_key, carries
from connectors.testing.rules.failures import only_own_errors
from connectors.testing.rules.lookups import ALWAYS, troubles
from connectors.testing.simulator import FaultKind

LONG = "INV-2026-11-REGION-MIDDLE-EAST-BRANCH-0000042"
"""Longer than what most services take as a number."""
TEXT = "Ünïcode 名 \u202e & <b> '\\ " * 9


@rule("invoice-once", Tier.BRONZE, "One invoice for any number of calls")
async def invoice_once(kit: Kit) -> None:
    """Make the same invoice in turn, at once by three workers, and once more with an empty database."""
    async with kit.bench() as bench:
        record, invoice = bench.seed(bench.customer()), bench.invoice()
        async with kit.gateway(bench) as gateway:
            for _ in range(3):
                outcomes = await gateway.bill([invoice] * 3, customer_record=record, nodes=3)
                _one(bench, "the same invoice, made three times at once by three workers")
                require(
                    all(outcome.end is End.LINKED for outcome in outcomes),
                    f"every one of them should have ended linked; {outcomes[0].words}",
                )
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.bill([invoice], customer_record=record))[0]
        _one(bench, "the same invoice, made again with an empty database")
        require(
            outcome.end is End.LINKED and (outcome.origin or "").startswith("adopted"),
            f"with an empty database the invoice should have been found by its number and adopted; {outcome.words}",
        )


@rule("invoice-looks-first", Tier.BRONZE, 'An invoice is looked for before it is created; an error is never "none"')
async def invoice_looks_first(kit: Kit) -> None:
    """Put the invoice in before; then let every look-up fail."""
    async with kit.bench() as bench:
        record, invoice = bench.seed(bench.customer()), bench.invoice()
        there = _seed(bench, invoice, record)
        found = await bench.invoicer().find_invoices(invoice, customer_record=record)
        require(
            [each.provider_entity_id for each in found] == [there],
            f"find_invoices returned {[each.provider_entity_id for each in found]} where the service has {there}",
        )
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.bill([invoice], customer_record=record))[0]
        _one(bench, "an invoice that was there before")
        require(outcome.record == there, f"the invoice that was there should have been adopted; {outcome.words}")
        for trouble in troubles():
            bench.plan(replace(trouble.fault, times=ALWAYS))
            try:
                found = await bench.invoicer().find_invoices(invoice, customer_record=record)
            except ConnectorError:
                continue
            require(found, f'find_invoices read {trouble.words} as "none"')
            bench.proxy.faults.clear()


@rule("invoice-lost-answer", Tier.BRONZE, "A lost answer becomes outcome-unknown, and one invoice in the end")
async def invoice_lost_answer(kit: Kit) -> None:
    """Lose the answer to the create in every way, with and without the work done."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        record = bench.seed(bench.customer())
        for number, kind in enumerate((*AFTER, *BEFORE), start=1):
            before = len(bench.harness.invoices())
            bench.plan(await kit.at_invoice(kind))
            outcome = (await gateway.bill([bench.invoice(number)], customer_record=record))[0]
            made = len(bench.harness.invoices()) - before
            require(
                outcome.attempts[:1] == ("outcome_unknown",),
                f"a create that was answered with {kind} should have been outcome_unknown; {outcome.words}",
            )
            require(
                made == 1 and outcome.end is End.LINKED,
                f"a create that was answered with {kind} should have ended as one linked invoice; there are {made}, "
                f"and {outcome.words}",
            )


@rule("invoice-exact", Tier.BRONZE, "What the payer is asked for is the invoice's total, to the last coin")
async def invoice_exact(kit: Kit) -> None:
    """Make invoices of every shape, and compare the service's ledger; none may be made that would differ."""
    async with kit.bench() as bench:
        record, connector = bench.seed(bench.customer()), bench.invoicer()
        for number, (words, fields) in enumerate(_shapes(), start=1):
            invoice = bench.invoice(number, **fields)
            try:
                connector.validate_invoice(invoice)
                created = await connector.create_invoice(
                    invoice, customer_record=record, intent=bench.intent(number)
                )  # fmt: skip
            except ConnectorError as error:
                require(
                    not error.may_have_written,
                    f"an invoice with {words} was neither made nor refused: {type(error).__name__}",
                )
                continue
            made = _invoice(bench, created.record)
            require(
                made.total == invoice.total and made.currency == invoice.currency,
                f"an invoice with {words} over {invoice.total} {invoice.currency} asks for {made.total} "
                f"{made.currency}",
            )
            require(
                created.record.total == made.total and made.customer_record == record,
                f"create_invoice told of {created.record.total} for customer {created.record.customer_record} where "
                f"the service has {made.total} for {made.customer_record}",
            )
        plain = [each for each in bench.harness.invoices() if each.number == connector.filed_number(bench.invoice(1))]
        require(plain, "a plain invoice of two lines was refused: it must be possible")


@rule("invoice-asks", Tier.BRONZE, "An invoice of the same number over another sum goes to a person")
async def invoice_asks(kit: Kit) -> None:
    """Put an invoice in over a coin more, and over the same sum for another customer."""
    async with kit.bench() as bench:
        record, other = bench.seed(bench.customer()), bench.seed(bench.customer(2))
        dearer, shared = bench.invoice(1), bench.invoice(2)
        _seed(bench, dearer, record, more=Decimal("0.01"))
        _seed(bench, shared, other)
        before = len(bench.harness.invoices())
        async with kit.gateway(bench) as gateway:
            asked = (await gateway.bill([dearer], customer_record=record))[0]
            require(
                asked.end is End.REVIEW and len(bench.harness.invoices()) == before,
                f"an invoice of the same number over another sum should have gone to a person; {asked.words}",
            )
            outcome = (await gateway.bill([shared], customer_record=record))[0]
        theirs = {each.record_id for each in bench.harness.invoices() if each.customer_record == other}
        require(outcome.record not in theirs, f"the invoice of another customer was adopted; {outcome.words}")


@rule("invoice-errors", Tier.BRONZE, "Nothing but the API's own errors comes out of invoice calls")
async def invoice_errors(kit: Kit) -> None:
    """Call everything while the service fails in every way, and answers what nobody would expect."""
    async with kit.bench() as bench:
        record, invoice = bench.seed(bench.customer()), bench.invoice()
        there = _seed(bench, invoice, record)
        connector = bench.invoicer()
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "find_invoices": lambda: connector.find_invoices(invoice, customer_record=record),
            "get_invoice": lambda: connector.get_invoice(there),
            "create_invoice": lambda: connector.create_invoice(invoice, customer_record=record, intent=bench.intent()),
            "void_invoice": lambda: connector.void_invoice(there),
        }
        await only_own_errors(bench, calls)


@rule("invoice-number", Tier.SILVER, "The number it is filed under is short, the same always, and tells two apart")
async def invoice_number(kit: Kit) -> None:
    """Make invoices with long numbers, equal but for their ends, and one without any; find each again."""
    async with kit.bench() as bench:
        record, connector = bench.seed(bench.customer()), bench.invoicer()
        numbers = (LONG, f"{LONG[:-1]}3", "")
        invoices = [bench.invoice(which, number=number) for which, number in enumerate(numbers, start=1)]
        filed = [connector.filed_number(invoice) for invoice in invoices]
        require(
            len(set(filed)) == len(filed) and all(filed) and filed == [connector.filed_number(one) for one in invoices],
            f"the numbers {filed} do not tell three invoices apart, always in the same way",
        )
        for number, invoice in enumerate(invoices):
            await connector.create_invoice(invoice, customer_record=record, intent=bench.intent(number))
        for invoice, wanted in zip(invoices, filed, strict=True):
            found = await bench.invoicer().find_invoices(invoice, customer_record=record)
            require(
                [each.number for each in found] == [wanted],
                f"the invoice filed as {wanted} was looked for, and {[each.number for each in found]} was found",
            )


@rule("invoice-void", Tier.SILVER, "Voiding may be repeated, and shows when it is read")
async def invoice_void(kit: Kit) -> None:
    """Void an invoice twice; ask for one that was never there."""
    async with kit.bench() as bench:
        record, connector = bench.seed(bench.customer()), bench.invoicer()
        there = _seed(bench, bench.invoice(), record)
        before = await connector.get_invoice(there)
        require(before is not None and before.status is InvoiceStatus.OPEN, f"get_invoice shows {before}, an open one")
        for _ in range(2):
            await connector.void_invoice(there)
        after = await connector.get_invoice(there)
        require(
            after is not None and after.status is InvoiceStatus.VOID and _invoice(bench, after).void,
            f"an invoice was voided, and get_invoice shows it as {after.status if after else 'gone'}",
        )
        gone = bench.harness.absent_id
        found = await connector.get_invoice(gone) if gone else None
        require(found is None, f"get_invoice finds {gone}, which was never there")


@rule("invoice-same-bytes", Tier.SILVER, "The same invoice and intent give the same bytes, on any day")
async def invoice_same_bytes(kit: Kit) -> None:
    """Send the same create twice, days apart, while the service refuses it."""
    async with kit.bench() as bench:
        record, invoice, intent = bench.seed(bench.customer()), bench.invoice(), bench.intent()
        route, sent = await kit.invoice_route(), []
        for _ in range(2):
            bench.plan(await kit.at_invoice(FaultKind.DROP_BEFORE))
            with suppress(ConnectorError):
                await bench.invoicer().create_invoice(invoice, customer_record=record, intent=intent)
            sent.append(bench.proxy.calls_of(route)[-1].body)
            bench.clock.advance(3 * 86_400)
        require(sent[0] == sent[1], "the same invoice, customer and intent were sent with other bytes three days later")


@rule(
    "invoice-key", Tier.SILVER, "The host's idempotency key is passed, and makes no second invoice",
    exemption=agrees_without_key,
)  # fmt: skip
async def invoice_key(kit: Kit) -> None:
    """Send the same create twice."""
    async with kit.bench() as bench:
        record, invoice, intent = bench.seed(bench.customer()), bench.invoice(), bench.intent()
        first = await bench.invoicer().create_invoice(invoice, customer_record=record, intent=intent)
        require(carries(bench.proxy.creates[-1], intent.key), "the create does not carry the key of its intent")
        again = await bench.invoicer().create_invoice(invoice, customer_record=record, intent=intent)
        require(
            first.record.provider_entity_id == again.record.provider_entity_id and len(bench.harness.invoices()) == 1,
            f"the same create, sent twice with the same key, left {len(bench.harness.invoices())} invoices",
        )


def _shapes() -> list[tuple[str, dict[str, Any]]]:
    """Return invoices of every shape, in words and as fields."""
    many = tuple(InvoiceLine(description=f"Line {n}", amount=Decimal(n) / 100) for n in range(1, 31))
    odd = (InvoiceLine(description="Third", amount=Decimal("33.33"), quantity=Decimal("0.333333")),)
    off = (Reduction(description="Discount", amount=Decimal("33.34")),)
    tenth = (Reduction(description="Discount", amount=Decimal("10.00")),)
    round_line = (InvoiceLine(description="Plan", amount=Decimal("100.00"), quantity=Decimal(1000)),)
    return [
        ("two lines", {}),
        ("an odd quantity", {"lines": odd}),
        ("a thousand pieces", {"lines": round_line}),
        ("thirty lines", {"lines": many}),
        ("a discount", {"discounts": off}),
        ("a discount of ten percent", {"lines": round_line, "discounts": tenth}),
        ("credits", {"credits": off}),
        ("a discount and credits", {"discounts": tenth, "credits": off}),
        ("tax", {"taxes": (TaxLine(description="VAT", amount=Decimal("5.02")),)}),
        ("a discount and tax", {"discounts": off, "taxes": (TaxLine(description="VAT", amount=Decimal("3.35")),)}),
        ("no due date", {"due_on": None}),
        ("a due date that has passed", {"due_on": date(2020, 2, 29)}),
        ("the name of a line in many scripts", {"lines": (replace(odd[0], description=TEXT),)}),
    ]


def _seed(bench: Bench, invoice: Invoice, record: str, *, more: Decimal = Decimal(0)) -> str:
    number = bench.invoicer().filed_number(invoice)
    return bench.harness.seed_invoice(
        number=number, customer_record=record, total=invoice.total + more, currency=invoice.currency
    )


def _invoice(bench: Bench, found: InvoiceCandidate) -> Any:
    known = {each.record_id: each for each in bench.harness.invoices()}
    require(found.provider_entity_id in known, f"the service has no invoice {found.provider_entity_id}")
    return known[found.provider_entity_id]


def _one(bench: Bench, words: str) -> None:
    found = len(bench.harness.invoices())
    require(found == 1, f"{words}: there are {found} invoices")


RULES = [
    invoice_once, invoice_looks_first, invoice_lost_answer, invoice_exact, invoice_asks, invoice_errors, invoice_number,
    invoice_void, invoice_same_bytes, invoice_key,
]  # fmt: skip
