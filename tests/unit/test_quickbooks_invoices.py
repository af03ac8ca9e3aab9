"""What is sent to QuickBooks for an invoice, line by line and to the last cent; and what its rows are read as."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import AmountInexactError, Invoice, InvoiceLine, InvoiceStatus, Reduction, RejectedError, TaxLine
from connectors.invoices import Document
from connectors.quickbooks import QuickBooksConfig
from connectors.quickbooks.client import encoded
from connectors.quickbooks.invoices import TaxRules, check_invoice, draft_invoice, filed_number, read_invoice
from connectors.quickbooks.items import Booked

D = Decimal
TODAY = date(2026, 1, 20)


def invoice(**fields: Any) -> Invoice:
    """An invoice whose sums agree, with these fields instead."""
    known: dict[str, Any] = {
        "source": "flexprice-prod", "platform": "flexprice", "environment_id": "prod", "invoice_id": "inv_9",
        "customer_id": "cust_1", "currency": "USD", "lines": (InvoiceLine(description="Plan A", amount=D("10.50")),),
        "number": "INV-1001",
    }  # fmt: skip
    parts = Invoice(**{"total": D(0), "amount_due": D(0), **known, **fields})
    return replace(parts, total=parts.computed_total, amount_due=parts.computed_total)


def body_of(subject: Invoice, **more: Any) -> dict[str, Any]:
    """The body that is sent for it."""
    booked = Booked(lines=("1",) * len(subject.lines), discount="2", credit="3", tax=more.pop("tax_item", ""))
    options = {"customer_record": "67", "today": TODAY, "booked": booked, "tax": TaxRules(), **more}
    return dict(draft_invoice(subject, **options).body)


def detail(line: dict[str, Any]) -> dict[str, Any]:
    return dict(line["SalesItemLineDetail"])


LINES: dict[str, tuple[InvoiceLine, str, dict[str, Any]]] = {
    "one piece": (InvoiceLine(description="Plan A", amount=D("10.5")), "Plan A", {}),
    "a price that is the amount": (
        InvoiceLine(description="Seat", amount=D("30.30"), quantity=D(3), unit_price=D("10.10")),
        "Seat", {"Qty": D(3), "UnitPrice": D("10.10")},
    ),
    "a price that would have to be rounded": (
        InvoiceLine(description="Seat", amount=D("33.33"), quantity=D("3.333"), unit_price=D("10.0")),
        "Seat", {"Qty": D("3.333"), "UnitPrice": D("10.0")},
    ),
    "a price that is not the amount": (
        InvoiceLine(description="Seat", amount=D("10.00"), quantity=D(3), unit_price=D("3.33")), "Seat x 3", {},
    ),
    "a price with more digits than are kept": (
        InvoiceLine(description="Call", amount=D("1.00"), quantity=D(100000000), unit_price=D("0.00000001")),
        "Call x 100000000", {},
    ),
    "a quantity without a price": (InvoiceLine(description="Seat", amount=D(9), quantity=D("2.50")), "Seat x 2.5", {}),
    "a discount on the line": (
        InvoiceLine(description="Seat", amount=D(9), discount=D("1.5")), "Seat, less 1.50", {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_quantity_and_price_are_sent_only_where_they_say_the_amount(name: str) -> None:
    line, description, expected = LINES[name]
    [sent] = body_of(invoice(lines=(line,)))["Line"]
    assert (sent["Description"], sent["Amount"]) == (description, line.amount)
    assert detail(sent) == {"ItemRef": {"value": "1"}, **expected}


def test_a_quantity_is_told_however_long_the_words_before_it_are() -> None:
    line = InvoiceLine(description="word " * 1000 + "🌍", amount=D(9), quantity=D("2.5"), discount=D(1))
    [sent] = body_of(invoice(lines=(line,)))["Line"]
    assert sent["Description"].endswith(" x 2.5, less 1.00")
    assert len(sent["Description"]) <= 4000


def test_what_is_taken_off_goes_as_lines_below_zero_with_their_own_words_and_items() -> None:
    subject = invoice(
        discounts=(Reduction(description="Winter: sale", amount=D("1.25")),),
        credits=(Reduction(description="Prepaid", amount=D("0.25")),),
        taxes=(TaxLine(description="VAT 5 %", amount=D("0.45")),),
    )
    sent = body_of(subject, tax_item="4", tax=TaxRules(code="NON"))
    assert [(line["Description"], line["Amount"], detail(line)["ItemRef"]["value"]) for line in sent["Line"]] == [
        ("Plan A", D("10.50"), "1"), ("Winter: sale", D("-1.25"), "2"), ("Prepaid", D("-0.25"), "3"),
        ("VAT 5 %", D("0.45"), "4"),
    ]  # fmt: skip
    assert {detail(line)["TaxCodeRef"]["value"] for line in sent["Line"]} == {"NON"}


@given(
    amounts=st.lists(st.integers(1, 10**12), min_size=1, max_size=30), off=st.integers(0, 10**6),
    tax=st.integers(0, 10**6),
)  # fmt: skip
def test_the_bytes_that_are_sent_come_to_the_total_to_the_cent(amounts: list[int], off: int, tax: int) -> None:
    subject = invoice(
        lines=tuple(InvoiceLine(description=f"{n}", amount=D(cents).scaleb(-2)) for n, cents in enumerate(amounts)),
        discounts=(Reduction(description="off", amount=D(off).scaleb(-2)),),
        taxes=(TaxLine(description="tax", amount=D(tax).scaleb(-2)),),
    )
    content = encoded(body_of(subject, tax_item="4"))
    sent = json.loads(content, parse_float=Decimal, parse_int=Decimal)
    assert sum(line["Amount"] for line in sent["Line"]) == subject.total


@pytest.mark.parametrize(
    "subject",
    [
        invoice(lines=(InvoiceLine(description="x", amount=D("1.005")),)),
        invoice(currency="KWD", lines=(InvoiceLine(description="x", amount=D("1.005")),)),
        invoice(currency="JPY", lines=(InvoiceLine(description="x", amount=D("1.5")),)),
        invoice(currency="XXQ"),
    ],
)
def test_what_would_be_rounded_is_refused(subject: Invoice) -> None:
    with pytest.raises(AmountInexactError):
        check_invoice(subject)


def test_what_fits_is_taken_and_too_many_lines_are_not() -> None:
    check_invoice(invoice(currency="KWD", lines=(InvoiceLine(description="x", amount=D("1.250")),)))
    check_invoice(invoice(currency="JPY", lines=(InvoiceLine(description="x", amount=D(1500)),)))
    with pytest.raises(RejectedError):
        check_invoice(invoice(lines=(InvoiceLine(description="x", amount=D(1)),) * 751))


def test_dates_currency_and_reckoning_stand_where_they_belong() -> None:
    plain = body_of(invoice())
    assert (plain["TxnDate"], plain["DocNumber"], plain["PrivateNote"]) == (
        "2026-01-20", "INV-1001", "[gw:flexprice-prod:inv_9]",
    )  # fmt: skip
    assert not plain.keys() & {"DueDate", "CurrencyRef", "ExchangeRate", "GlobalTaxCalculation", "TxnTaxDetail"}
    whole = body_of(
        invoice(issued_on=date(2026, 1, 5), due_on=date(2026, 2, 4)), currency="EUR",
        tax=TaxRules(code="7", calculation="TaxExcluded", total=D("1.50")),
    )  # fmt: skip
    assert (whole["TxnDate"], whole["DueDate"], whole["CurrencyRef"]) == ("2026-01-05", "2026-02-04", {"value": "EUR"})
    assert (whole["GlobalTaxCalculation"], whole["TxnTaxDetail"]) == ("TaxExcluded", {"TotalTax": D("1.50")})


@pytest.mark.parametrize(
    "number", ["", "INV-1", "I" * 21, "I" * 22, "INV-2026-REGION-MIDDLE-EAST-7", "ŁÓDŹ-7", "\u200b", "名"]
)
def test_a_number_is_short_searchable_and_its_own(number: str) -> None:
    filed = filed_number(invoice(number=number))
    others = {filed_number(invoice(number=f"{number}{more}")) for more in ("1", "名", "-")}
    assert filed == filed_number(invoice(number=number))
    assert 0 < len(filed) <= 21
    assert filed.isprintable()
    assert all(letter <= "\xff" for letter in filed)
    assert filed not in others
    assert len(others) == 3


ROW: dict[str, Any] = {
    "Id": "145", "DocNumber": "INV-1001", "TotalAmt": D("10.50"), "Balance": D("10.50"),
    "CustomerRef": {"value": "67"}, "CurrencyRef": {"value": "USD"}, "Line": [{"Amount": D("10.50")}],
}  # fmt: skip


@pytest.mark.parametrize(
    "change, status",
    [
        ({}, InvoiceStatus.OPEN), ({"Balance": D(0)}, InvoiceStatus.PAID), ({"Balance": D("0.01")}, InvoiceStatus.OPEN),
        ({"TotalAmt": 0, "Balance": 0, "Line": [{"Amount": 0}]}, InvoiceStatus.VOID),
        ({"TotalAmt": 0, "Balance": 0, "Line": [{"Amount": 5}, {"Amount": -5}]}, InvoiceStatus.PAID),
    ],
)  # fmt: skip
def test_a_row_says_where_it_stands_in_any_language(change: dict[str, Any], status: InvoiceStatus) -> None:
    assert read_invoice(ROW | change, Document.INVOICE, home_currency="EUR").status is status


def test_a_row_without_a_currency_is_in_the_companys_own() -> None:
    row = {key: value for key, value in ROW.items() if key != "CurrencyRef"}
    found = read_invoice(
        row | {"PrivateNote": "see mail [gw:flexprice-prod:inv_9]"}, Document.RECEIPT, home_currency="EUR"
    )
    assert (found.currency, found.marker, found.provider_entity_id) == ("EUR", "flexprice-prod:inv_9", "receipt:145")


def test_items_are_read_from_a_form_as_well() -> None:
    known = {"client_id": "a", "client_secret": "b"}
    written = QuickBooksConfig.model_validate({**known, "items": "Plan A = Soft = ware; Day=Consulting:Day ;"})
    assert dict(written.items) == {"Plan A = Soft": "ware", "Day": "Consulting:Day"}
    with pytest.raises(ValueError, match="items"):
        QuickBooksConfig.model_validate({**known, "items": "Plan A"})
