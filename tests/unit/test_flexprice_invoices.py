"""Flexprice's invoice as the canonical one: no line is left out, no cent lost, and what cannot be read is refused."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.invoices import Invoice
from gateway.errors import InvoiceUnreadableError
from gateway.sources.base import SourceConfig, Verification
from gateway.sources.flexprice_invoices import dropped, nothing_to_book, read_invoice

CONFIG = SourceConfig(
    name="fp", platform="flexprice", tenant_id="t", environment_id="prod",
    verification=Verification.STANDARD_WEBHOOKS, secrets=(),
)  # fmt: skip
LINE = {"id": "line_1", "display_name": "Onboarding day", "amount": "1500", "quantity": "3"}
FOUND: dict[str, Any] = {
    "id": "inv_1", "invoice_status": "FINALIZED", "invoice_number": "INV-1", "currency": "aed", "total": "1575",
    "amount_due": "1575", "total_discount": "0", "total_tax": "75", "total_prepaid_credits_applied": "0",
    "line_items": [LINE], "taxes": [{"tax_amount": "75"}], "due_date": "2026-12-20T00:00:00Z",
    "issue_date": "2026-11-20T08:00:00.123456789Z",
}  # fmt: skip


def read(**changed: Any) -> Invoice:
    return read_invoice({**FOUND, **changed}, invoice_id="inv_1", customer_id="cust_1", config=CONFIG)


def test_the_example_of_the_docs_comes_out_whole() -> None:
    found = read()
    assert (found.currency, found.number, found.due_on) == ("AED", "INV-1", date(2026, 12, 20))
    assert [(each.description, each.amount, each.quantity) for each in found.lines] == [
        ("Onboarding day", Decimal(1500), Decimal(3))
    ]
    assert [tax.amount for tax in found.taxes] == [75]
    assert found.computed_total == found.total == 1575


def test_discounts_of_lines_and_of_the_whole_are_told_apart_and_come_to_the_platform_s_sum() -> None:
    found = read(
        line_items=[{**LINE, "line_item_discount": "100"}], total_discount="130", total_prepaid_credits_applied="45.5",
        total="1399.5",
    )  # fmt: skip
    assert [found.lines[0].amount, found.lines[0].discount] == [Decimal(1400), Decimal(100)]
    assert [part.amount for part in found.discounts] == [30]
    assert [part.amount for part in found.credits] == [Decimal("45.5")]
    assert found.computed_total == found.total


def test_lines_that_say_more_than_the_whole_are_not_believed() -> None:
    found = read(line_items=[{**LINE, "line_item_discount": "100"}], total_discount="30", total="1545")
    assert found.computed_total == found.total


def test_taxes_that_do_not_come_to_their_sum_are_taken_as_the_sum() -> None:
    assert [tax.amount for tax in read(taxes=[{"tax_amount": "70"}]).taxes] == [75]
    assert [tax.amount for tax in read(taxes=[{"tax_amount": "70"}, {"tax_amount": "5"}]).taxes] == [70, 5]


@pytest.mark.parametrize(
    "changed",
    [
        {"line_items": [LINE, {**LINE, "amount": None}]}, {"line_items": [{**LINE, "amount": 1500.0}]},
        {"line_items": [LINE, "a line"]}, {"line_items": "none"}, {"total": "a lot"}, {"total_tax": {}},
        {"line_items": [LINE] * 5001}, {"total_discount": "-1"}, {"total_prepaid_credits_applied": "-0.01"},
    ],
)  # fmt: skip
def test_a_line_or_an_amount_that_cannot_be_read_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InvoiceUnreadableError):
        read(**changed)


def test_a_currency_of_another_length_is_never_cut_to_one_that_is_known() -> None:
    assert [read(currency=code).currency for code in ("usd", "usdt", "us", None)] == ["USD", "USDT", "US", ""]


@pytest.mark.parametrize(
    "changed, paid",
    [
        ({}, 0), ({"amount_paid": "400"}, 400), ({"amount_paid": "400", "amount_remaining": "1175"}, 400),
        ({"payment_status": "SUCCEEDED"}, 1575), ({"amount_remaining": "0"}, 1575), ({"amount_remaining": "2000"}, 0),
    ],
)  # fmt: skip
def test_what_was_paid_of_it_already_is_told(changed: dict[str, Any], paid: int) -> None:
    assert read(**changed).paid == paid


@pytest.mark.parametrize(
    "changed, why",
    [
        ({"line_items": []}, "no lines"), ({"line_items": None}, "no lines"), ({"total": "0"}, "zero"),
        ({"line_items": [{"display_name": "Trimmed"}]}, "no amounts"),
        ({"total": "0.00"}, "zero"), ({"invoice_type": "CREDIT"}, "credit"),
        ({"total": None, "amount_due": None}, "zero"),
    ],
)  # fmt: skip
def test_what_asks_for_nothing_is_not_booked(changed: dict[str, Any], why: str) -> None:
    reason = nothing_to_book({**FOUND, **changed})
    assert reason is not None
    assert why in reason
    told = dropped({**FOUND, **changed})
    assert told is not None
    assert not told.voided


def test_only_a_final_invoice_is_booked_and_a_void_one_is_known_as_such() -> None:
    assert dropped(FOUND) is None
    for status in ("DRAFT", "SKIPPED", "", None):
        told = dropped({**FOUND, "invoice_status": status})
        assert told is not None
        assert not told.voided
    void = dropped({**FOUND, "invoice_status": "voided"})
    assert void is not None
    assert void.voided


@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=10**9, places=3), min_size=1, max_size=30),
    discount=st.decimals(min_value=0, max_value=10**6, places=3),
    tax=st.decimals(min_value=0, max_value=10**6, places=3),
)  # fmt: skip
def test_the_computed_total_is_the_platform_s_own_sum(amounts: list[Decimal], discount: Decimal, tax: Decimal) -> None:
    found = read(
        line_items=[{**LINE, "amount": f"{amount:f}"} for amount in amounts], total_discount=f"{discount:f}",
        total_tax=f"{tax:f}", taxes=None,
    )  # fmt: skip
    coins = sum(int(amount.scaleb(3)) for amount in amounts) - int(discount.scaleb(3)) + int(tax.scaleb(3))
    assert found.computed_total.scaleb(3) == coins
    assert len(found.lines) == len(amounts)
