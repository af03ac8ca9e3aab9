"""From the platform's JSON to both providers' bodies: whatever is sent comes to the platform's total, or is refused."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from connectors.errors import ConnectorError
from connectors.invoices import Invoice
from connectors.nomod.invoices import Terms
from connectors.nomod.invoices import check_invoice as check_nomod
from connectors.nomod.invoices import draft_invoice as draft_nomod
from connectors.quickbooks.client import encoded
from connectors.quickbooks.invoices import TaxRules, has_room_for_discount
from connectors.quickbooks.invoices import check_invoice as check_quickbooks
from connectors.quickbooks.invoices import draft_invoice as draft_quickbooks
from connectors.quickbooks.items import Booked
from gateway.errors import GatewayError
from gateway.pipeline.invoices import check_sums
from gateway.sources.base import SourceConfig, Verification
from gateway.sources.flexprice_invoices import read_invoice

CONFIG = SourceConfig(
    name="fp", platform="flexprice", tenant_id="t", environment_id="prod",
    verification=Verification.STANDARD_WEBHOOKS, secrets=(),
)  # fmt: skip
TERMS = Terms(due_days=30, allow={})
NOW = datetime(2026, 11, 28, tzinfo=UTC)

PLACES = {"usd": 2, "jpy": 0, "kwd": 3}
QUANTITIES = st.sampled_from(["0", "1", "3", "-2", "0.333333", "1000000"])
NAMES = st.sampled_from(["Seat", "A & B", 'the "one"', "🌍", "x" * 500, "", "a:b\tc\n", "\u202egnp.exe"])
LINES = st.tuples(NAMES, st.integers(-10_000, 10**7), QUANTITIES, st.sampled_from([0, 0, 7, 100]))


@st.composite
def found_at_flexprice(draw: st.DrawFn) -> dict[str, Any]:
    """An invoice as the API answers it: mostly sums that agree, now and then some that do not, or are no coins."""
    currency, lines = draw(st.sampled_from(list(PLACES))), draw(st.lists(LINES, min_size=1, max_size=6))
    off, credit, tax = draw(st.tuples(*[st.sampled_from([0, 0, 1, 500, 99_999])] * 3))
    discount, wrong = sum(line[3] for line in lines) + off, draw(st.sampled_from([*[0] * 9, 1, 0.5]))
    whole = max(0, sum(line[1] for line in lines) - discount - credit + tax) + wrong

    def text(coins: float) -> str:
        return f"{Decimal(str(coins)).scaleb(-PLACES[currency]):f}"

    rows = [
        {"display_name": name, "amount": text(amount), "quantity": quantity, "line_item_discount": text(taken)}
        for name, amount, quantity, taken in lines
    ]
    return {
        "invoice_status": "FINALIZED", "invoice_number": "INV-1", "currency": currency, "line_items": rows,
        "total": text(whole), "amount_due": text(whole), "total_discount": text(discount),
        "total_prepaid_credits_applied": text(credit), "total_tax": text(tax),
    }  # fmt: skip


def checked(found: dict[str, Any], check: Any) -> Invoice:
    """Return the invoice as the pipeline would send it; what it would refuse, or put before a person, is no example."""
    try:
        invoice = read_invoice(found, invoice_id="inv_1", customer_id="cust_1", config=CONFIG)
        check_sums(invoice)
        check(invoice)
    except (GatewayError, ConnectorError):
        assume(False)
        raise
    return invoice


@given(found=found_at_flexprice())
def test_nomod_is_sent_the_platforms_total(found: dict[str, Any]) -> None:
    invoice = checked(found, check_nomod)
    body = draft_nomod(invoice, customer_record="c", started_at=NOW, terms=TERMS).body
    whole = sum((Decimal(item["amount"]) * item["quantity"] for item in body["items"]), Decimal())
    percent = body.get("discount_percentage", 0)
    assert 0 <= percent <= 100
    assert whole - whole * percent / 100 == Decimal(found["total"])
    assert all(Decimal(item["amount"]) >= 0 and 0 < len(item["name"]) <= 100 for item in body["items"])


@given(found=found_at_flexprice(), allowed=..., taxed=...)
def test_quickbooks_is_sent_the_platforms_total(found: dict[str, Any], *, allowed: bool, taxed: bool) -> None:
    """With discounts as a discount line or as items, with tax as a sum or as a line."""
    invoice = checked(found, check_quickbooks)
    as_line = allowed and has_room_for_discount(invoice)
    booked = Booked(
        lines=("1",) * len(invoice.lines), discount="" if as_line or not invoice.discounts else "2", credit="3",
        tax="" if taxed else "4",
    )  # fmt: skip
    tax = TaxRules(code="TAX" if taxed else "NON", total=invoice.tax if taxed else None)
    draft = draft_quickbooks(invoice, customer_record="67", today=date(2026, 1, 20), booked=booked, tax=tax)
    sent = json.loads(encoded(dict(draft.body)), parse_float=Decimal, parse_int=Decimal)
    signs = {"SalesItemLineDetail": 1, "DiscountLineDetail": -1}
    whole = sum((signs[line["DetailType"]] * line["Amount"] for line in sent["Line"]), Decimal())
    assert whole + sent.get("TxnTaxDetail", {}).get("TotalTax", 0) == Decimal(found["total"])
    assert [line["DetailType"] for line in sent["Line"]].count("DiscountLineDetail") == int(as_line)
    assert all(len(line.get("Description", "")) <= 4000 for line in sent["Line"])
