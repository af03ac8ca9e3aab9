"""What is sent to Nomod for an invoice: to the last fils what the platform asks for, whatever the lines are like."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import AmountInexactError, RejectedError, UnexpectedResponseError
from connectors.invoices import Invoice, InvoiceLine, InvoiceStatus, Reduction, TaxLine, short_number
from connectors.nomod.invoices import InvoiceDraft, Terms, check_invoice, draft_invoice, filed_number, read_invoice

NOW = datetime(2026, 11, 28, 11, 0, tzinfo=UTC)
TERMS = Terms(due_days=30, allow={"allow_tabby": False, "allow_tamara": False, "allow_service_fee": False})
RECORD = "8f14e45f-ceea-467f-a123-0123456789ab"


def line(amount: str, quantity: str = "1", description: str = "Seat") -> InvoiceLine:
    return InvoiceLine(description=description, amount=Decimal(amount), quantity=Decimal(quantity))


def invoice(*lines: InvoiceLine, currency: str = "AED", **more: Any) -> Invoice:
    known: dict[str, Any] = {
        "source": "fp", "platform": "flexprice", "environment_id": "prod", "invoice_id": "inv_1",
        "customer_id": "cust_1", "number": "INV-1", "due_on": date(2027, 1, 1), "total": Decimal(0),
        "amount_due": Decimal(0), **more,
    }  # fmt: skip
    return Invoice(currency=currency, lines=lines, **known)


def vat(amount: str) -> tuple[TaxLine, ...]:
    return (TaxLine(description="VAT", amount=Decimal(amount)),)


def off(amount: str) -> tuple[Reduction, ...]:
    return (Reduction(description="Discount", amount=Decimal(amount)),)


def drafted(one: Invoice) -> InvoiceDraft:
    return draft_invoice(one, customer_record=RECORD, started_at=NOW, terms=TERMS)


def charged(draft: InvoiceDraft) -> Decimal:
    """What Nomod makes of a body: price times quantity, less the discount, which is rounded half up."""
    whole = sum((Decimal(item["amount"]) * item["quantity"] for item in draft.body["items"]), Decimal())
    share = whole * draft.body.get("discount_percentage", 0) / 100
    assert share == round(share, 3), "the provider would have to round"
    return Decimal(whole - share)


def test_a_line_goes_as_one_piece_at_its_whole_price_with_the_real_quantity_in_its_name() -> None:
    body = drafted(invoice(line("1500", "3", "Onboarding day"), line("0.01"))).body
    assert body["items"] == [
        {"name": "Onboarding day x 3", "amount": "1500.00", "quantity": 1},
        {"name": "Seat", "amount": "0.01", "quantity": 1},
    ]
    assert (body["customer"], body["currency"], body["invoice_number"]) == (RECORD, "AED", "INV-1")
    assert (body["allow_tabby"], body["allow_tamara"], body["allow_service_fee"]) == (False, False, False)


@pytest.mark.parametrize("currency, written", [("JPY", "1500"), ("AED", "1500.00"), ("KWD", "1500.000")])
def test_amounts_have_the_currency_s_places(currency: str, written: str) -> None:
    assert drafted(invoice(line("1500"), currency=currency)).body["items"][0]["amount"] == written


def test_a_discount_in_whole_percent_is_sent_as_such() -> None:
    draft = drafted(invoice(line("80"), line("120"), discounts=off("50")))
    assert draft.body["discount_percentage"] == 25
    assert [item["amount"] for item in draft.body["items"]] == ["80.00", "120.00"]
    assert charged(draft) == 150


def test_any_other_discount_and_every_credit_is_folded_into_the_lines_and_told() -> None:
    draft = drafted(invoice(line("100"), line("0.03"), discounts=off("33.34"), taxes=vat("3.33")))
    assert "discount_percentage" not in draft.body
    assert charged(draft) == Decimal("70.02")
    assert draft.body["items"][-1] == {"name": "VAT", "amount": "3.33", "quantity": 1}
    assert draft.body["items"][0]["name"].startswith("Seat, less 33.")
    assert draft.body["note"] == "Already taken off the items: Discount 33.34 AED"
    assert any("folded" in warning for warning in draft.warnings)


def test_a_discount_beside_a_tax_is_folded_since_the_percentage_would_lower_the_tax() -> None:
    draft = drafted(invoice(line("100"), discounts=off("10"), taxes=vat("4.5")))
    assert "discount_percentage" not in draft.body
    assert charged(draft) == Decimal("94.50")


def test_a_negative_line_is_folded_into_the_others_and_told() -> None:
    draft = drafted(invoice(line("100"), line("-40", description="Proration")))
    assert charged(draft) == 60
    assert any("negative line" in warning for warning in draft.warnings)


@pytest.mark.parametrize(
    "wrong",
    [
        invoice(*[line("1")] * 51),
        invoice(line("10"), discounts=off("10.01")),
        invoice(line("10"), taxes=vat("-1")),
        invoice(line("-10")),
    ],
)
def test_what_nomod_cannot_hold_is_refused_and_no_line_is_left_out(wrong: Invoice) -> None:
    with pytest.raises(RejectedError):
        check_invoice(wrong)


@pytest.mark.parametrize("amount, currency", [("0.005", "AED"), ("0.5", "JPY"), ("0.0005", "KWD"), ("1", "AE")])
def test_an_amount_that_would_have_to_be_rounded_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(AmountInexactError):
        check_invoice(invoice(line(amount), currency=currency))


@pytest.mark.parametrize(
    "due, sent, word",
    [(date(2027, 1, 1), "2027-01-01", ""), (date(2026, 1, 1), "2026-11-29", "moved"), (None, "2026-12-29", "30 days")],
)
def test_the_due_date_is_never_in_the_past_anywhere_on_earth(due: date | None, sent: str, word: str) -> None:
    draft = drafted(invoice(line("1"), due_on=due))
    assert draft.body["due_date"] == sent
    assert bool(draft.warnings) is bool(word)
    assert word in " ".join(draft.warnings)


NUMBERS = st.text(alphabet="INV-0123456789 \t\u00e9", max_size=80)


@given(number=NUMBERS, other=NUMBERS)
def test_a_number_fits_stays_what_it_is_where_it_does_and_tells_two_apart(number: str, other: str) -> None:
    plain, short = " ".join(number.split()), short_number(number, 30)
    assert len(short) <= 30
    assert short == short_number(number, 30)
    assert (short == plain) is (len(plain) <= 30)
    if plain != " ".join(other.split()):
        assert short != short_number(other, 30)


def test_an_invoice_without_a_number_is_filed_under_its_id() -> None:
    assert filed_number(invoice(line("1"), number="", invoice_id="inv_01K9E")) == "inv_01K9E"


@given(
    amounts=st.lists(st.integers(min_value=0, max_value=10**7), min_size=1, max_size=40),
    share=st.integers(min_value=0, max_value=10_000), tax=st.integers(min_value=0, max_value=10**6),
    currency=st.sampled_from(["JPY", "AED", "KWD"]), quantity=st.integers(min_value=1, max_value=999),
)  # fmt: skip
def test_whatever_the_lines_are_the_sum_is_the_platform_s(
    amounts: list[int], share: int, tax: int, currency: str, quantity: int
) -> None:
    places = {"JPY": 0, "AED": 2, "KWD": 3}[currency]
    taken = sum(amounts) * share // 10_000
    coins = [Decimal(amount).scaleb(-places) for amount in (*amounts, taken, tax)]
    one = invoice(
        *[line(f"{coin:f}", str(quantity), "x" * 120) for coin in coins[:-2]], currency=currency,
        discounts=off(f"{coins[-2]:f}"), taxes=vat(f"{coins[-1]:f}") if tax else (),
    )  # fmt: skip
    draft = drafted(one)
    assert charged(draft) == one.computed_total
    assert len(draft.body["items"]) == len(amounts) + bool(tax)
    assert all(len(item["name"]) <= 100 and Decimal(item["amount"]) >= 0 for item in draft.body["items"])
    assert draft == drafted(one)


def test_an_answer_is_read_leniently_but_for_id_and_amount() -> None:
    known = {"id": RECORD, "amount": "12.500", "currency": "kwd", "status": "cancelled", "customer": {"id": "c"}}
    found = read_invoice({**known, "invoice_number": None, "created": 5, "url": "javascript:alert(1)"})
    assert (found.total, found.currency, found.status) == (Decimal("12.5"), "KWD", InvoiceStatus.VOID)
    assert (found.customer_record, found.number, found.url, found.created_at) == ("c", "", "", None)
    assert read_invoice({**known, "status": "scheduled"}).status is InvoiceStatus.OPEN
    wrong: list[Any] = [{**known, "amount": 12.5}, {**known, "amount": None}, {**known, "id": ""}, None, []]
    for broken in wrong:
        with pytest.raises(UnexpectedResponseError):
            read_invoice(broken)
