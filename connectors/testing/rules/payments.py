"""Rules about payments, for connectors with `Payments`: what has come is told whole, once, and without the card."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from connectors.errors import ConnectorError
from connectors.invoices import Invoice, InvoiceSync
from connectors.links import PaymentLinks
from connectors.models import Customer
from connectors.payments import PaidFor, PaidKind, Payment, PaymentStatus
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.rulebook import Kit, Tier, require, rule
from connectors.testing.rules.failures import only_own_errors
from connectors.testing.rules.link_sums import AMOUNTS
from connectors.testing.rules.lookups import ALWAYS, troubles
from connectors.testing.rules.privacy import PERSONAL, canary_customer, overheard


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """Something that can be paid: an invoice or a payment link at the service, and what it asks for."""

    kind: PaidKind
    record: str
    invoice: Invoice

    def pay(self, bench: Bench, amount: Decimal | None = None) -> str:
        """Pay it as the customer does; return the payment's id."""
        if self.kind is PaidKind.PAYMENT_LINK:
            return bench.harness.pay_link(self.record)
        return bench.harness.pay_invoice(self.record, amount)


@rule("payment-whole", Tier.BRONZE, "A payment is read whole: for what, how much, in which currency")
async def payment_whole(kit: Kit) -> None:
    """Pay invoices and links in currencies of every kind, and compare what is told with what was asked for."""
    async with kit.bench() as bench:
        for number, (currency, amount) in enumerate(AMOUNTS, start=1):
            async for sold in _sold(bench, number, amount, currency, needed=number == 1):
                payment = sold.pay(bench)
                told = await _told(bench, payment)
                wanted = (PaidFor(kind=sold.kind, provider_entity_id=sold.record, amount=sold.invoice.amount_due),)
                require(
                    (told.provider_entity_id, told.currency, told.status) == (payment, currency, PaymentStatus.SETTLED)
                    and told.paid_for == wanted,
                    f"payment {payment} of {amount} {currency} for {sold.kind} {sold.record} was told as {told}",
                )


@rule("payment-none", Tier.BRONZE, 'A payment that cannot be read is an error, and never "none"')
async def payment_none(kit: Kit) -> None:
    """Ask for a payment that was never made, as another account's is; then let every read fail."""
    async with kit.bench() as bench:
        gone = bench.harness.absent_id
        require(
            not gone or await bench.payee().get_payment(gone) is None, f"get_payment finds {gone}, which was never made"
        )
        async for sold in _sold(bench):
            payment = sold.pay(bench)
            for trouble in troubles():
                bench.plan(replace(trouble.fault, times=ALWAYS))
                with suppress(ConnectorError):
                    found = await bench.payee().get_payment(payment)
                    require(found is not None, f'get_payment read {trouble.words} as "none"')
            bench.proxy.faults.clear()


@rule("payment-settled", Tier.BRONZE, "Only money that has come, and was kept, is told as settled")
async def payment_settled(kit: Kit) -> None:
    """Put payments into every other state: under way, failed, given back."""
    async with kit.bench() as bench:
        async for sold in _sold(bench):
            payment = sold.pay(bench)
            states = 0
            for status in bench.harness.unsettled(payment):
                states += 1
                told = await _told(bench, payment)
                require(
                    told.status is status and status is not PaymentStatus.SETTLED,
                    f"a payment that is {status} was told as {told.status}",
                )
            require(states, "the harness's `unsettled` names no state in which a payment does not count")


@rule("payment-elsewhere", Tier.BRONZE, "Money for something else is for nothing of ours")
async def payment_elsewhere(kit: Kit) -> None:
    """Take what it was for out of a payment; the gateway leaves it alone."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        async for sold in _sold(bench):
            payment = sold.pay(bench)
            require((await _told(bench, payment)).paid_for, f"a payment for {sold.kind} was told as one for nothing")
            bench.harness.detach(payment)
            told = await _told(bench, payment)
            require(not told.paid_for, f"money for something else was told as paid for {told.paid_for}")
            outcome = (await gateway.receive([payment]))[0]
            require(outcome.end is End.IGNORED, f"money for something else should have been ignored; {outcome.words}")


@rule("payment-once", Tier.BRONZE, "The platform is told once of what was paid, by the record that was made")
async def payment_once(kit: Kit) -> None:
    """Have the gateway make invoice and link, pay them, and hear of each payment several times and at once."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        payer = bench.seed(bench.customer())
        paid: list[tuple[str, str]] = []
        if issubclass(bench.kind, InvoiceSync):
            invoice = bench.billed(1)
            outcome = (await gateway.bill([invoice], customer_record=payer))[0]
            paid.append((invoice.invoice_id, bench.harness.pay_invoice(outcome.record or "")))
        if issubclass(bench.kind, PaymentLinks):
            request = await bench.link_request(payer, 2)
            outcome = (await gateway.link([request]))[0]
            paid.append((request.invoice.invoice_id, bench.harness.pay_link(outcome.record or "")))
        for invoice_id, payment in paid:
            for nodes in (3, 1):
                outcomes = await gateway.receive([payment] * 3, nodes=nodes)
                told = gateway.paid(invoice_id)
                require(
                    told == [bench.billed().amount_due],
                    f"a payment of {bench.billed().amount_due}, heard of six times, was told to the platform as {told};"
                    f" {outcomes[0].words}",
                )


@rule("payment-errors", Tier.BRONZE, "Nothing but the API's own errors comes out of payment calls")
async def payment_errors(kit: Kit) -> None:
    """Read a payment while the service fails in every way, and answers what nobody would expect."""
    async with kit.bench() as bench:
        async for sold in _sold(bench):
            await only_own_errors(bench, _calls(bench, sold.pay(bench)))


@rule("payment-quiet", Tier.BRONZE, "Nothing about cards or payers comes out, and no secret")
async def payment_quiet(kit: Kit) -> None:
    """Read payments of a customer whose every field is a canary, under every fault."""
    async with kit.bench() as bench:
        async for sold in _sold(bench, customer=canary_customer(bench)):
            calls = _calls(bench, sold.pay(bench))
            found = await overheard(bench, calls, (*PERSONAL, *bench.harness.cards()))
            require(found is None, f"{found} is shown by a payment call")


@rule("payment-parts", Tier.SILVER, "Parts of an invoice are payments of their own")
async def payment_parts(kit: Kit) -> None:
    """Pay an invoice in two parts, where the service takes parts."""
    async with kit.bench() as bench:
        if not (bench.harness.pays_parts and issubclass(bench.kind, InvoiceSync)):
            return
        async for sold in _sold(bench):
            first, whole = Decimal("40.01"), sold.invoice.amount_due
            if sold.kind is not PaidKind.INVOICE:
                continue
            paid = [(sold.pay(bench, first), first), (sold.pay(bench), whole - first)]
            for payment, amount in paid:
                told = await _told(bench, payment)
                require(
                    [(each.provider_entity_id, each.amount) for each in told.paid_for] == [(sold.record, amount)],
                    f"a part of {amount} of an invoice over {whole} was told as {told.paid_for}",
                )


async def _sold(
    bench: Bench, number: int = 1, amount: str = "100.37", currency: str = "USD", *, needed: bool = True,
    customer: Customer | None = None,
) -> AsyncIterator[Sold]:  # fmt: skip
    """Make whatever of invoice and link the connector can make; what the service refuses is left out."""
    payer = bench.seed(customer or bench.customer(number))
    if issubclass(bench.kind, InvoiceSync):
        invoice, connector = bench.billed(number, amount, currency), bench.invoicer()
        try:
            connector.validate_invoice(invoice)
            made = await connector.create_invoice(invoice, customer_record=payer, intent=bench.intent(number))
        except ConnectorError as error:
            require(not needed, f"an invoice over {amount} {currency} could not be made: {type(error).__name__}")
        else:
            yield Sold(kind=PaidKind.INVOICE, record=made.record.provider_entity_id, invoice=invoice)
    if issubclass(bench.kind, PaymentLinks):
        try:
            request = await bench.link_request(payer, number + 500, amount, currency)
            bench.linker().validate_link(request)
            link = await bench.linker().create_link(request, intent=bench.intent(number + 500))
        except ConnectorError as error:
            require(not needed, f"a link over {amount} {currency} could not be made: {type(error).__name__}")
        else:
            yield Sold(
                kind=PaidKind.PAYMENT_LINK, record=link.record.provider_entity_id, invoice=request.invoice
            )  # fmt: skip


async def _told(bench: Bench, payment: str) -> Payment:
    found: Payment | None = await bench.payee().get_payment(payment)
    require(found is not None, f"get_payment does not find payment {payment}, which was made a moment before")
    if found is None:
        raise AssertionError("required above")
    return found


def _calls(bench: Bench, payment: str) -> dict[str, Callable[[], Awaitable[object]]]:
    connector = bench.payee()
    return {"get_payment": lambda: connector.get_payment(payment)}


RULES = [
    payment_whole, payment_none, payment_settled, payment_elsewhere, payment_once, payment_errors, payment_quiet,
    payment_parts,
]  # fmt: skip
