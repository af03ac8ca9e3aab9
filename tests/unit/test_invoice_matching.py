"""Whether an invoice at the provider is this one: by number and customer, adopted by sum; and what is asked else."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.invoices import Invoice, InvoiceCandidate, InvoiceLine, InvoiceStatus
from gateway.pipeline.invoice_matching import (
    Billed,
    invoice_guards,
    judge_invoice_hint,
    match_invoice,
    recovered_invoice,
)
from gateway.pipeline.matching import Adopt, Ask, Create

OURS = Billed(
    invoice=Invoice(
        source="fp", platform="flexprice", environment_id="prod", invoice_id="inv_1", customer_id="cust_1",
        currency="AED", total=Decimal("100.00"), amount_due=Decimal(100),
        lines=(InvoiceLine(description="Seat", amount=Decimal(100)),), number="INV-1",
    ),
    customer_record="c1", number="INV-1",
)  # fmt: skip


def there(record: str = "r1", **more: Any) -> InvoiceCandidate:
    known = {"number": "INV-1", "total": Decimal("100.000"), "currency": "AED", "customer_record": "c1"}
    return InvoiceCandidate(provider_entity_id=record, **{**known, **more})


def test_the_one_with_number_customer_and_sum_is_adopted() -> None:
    decision = match_invoice(OURS, [there()], taken={})
    assert isinstance(decision, Adopt)
    assert (decision.candidate.provider_entity_id, decision.origin) == ("r1", "adopted_number")
    assert isinstance(match_invoice(OURS, [], taken={}), Create)


@pytest.mark.parametrize(
    "other",
    [{"number": "INV-11"}, {"customer_record": "c2"}, {"marker": "fp:inv_2"}, {"number": "", "marker": None}],
)
def test_nothing_but_number_or_mark_and_customer_makes_it_this_one(other: dict[str, Any]) -> None:
    decision = match_invoice(OURS, [there(**other)], taken={})
    assert isinstance(decision, Create)
    assert len(decision.others) == 1


def test_one_with_our_mark_that_went_over_to_another_customer_is_neither_adopted_nor_made_again() -> None:
    stray = there(marker="fp:inv_1", customer_record="c2")
    for decision in (match_invoice(OURS, [stray], taken={}), recovered_invoice(OURS, [stray])):
        assert isinstance(decision, Ask)
        assert decision.kind == "conflict"
    void = replace(stray, status=InvoiceStatus.VOID)
    assert isinstance(match_invoice(OURS, [void], taken={}), Create)


def test_what_the_platform_has_voided_is_recognised_by_its_mark_whatever_its_sum() -> None:
    other = there(total=Decimal("105.00"))
    assert isinstance(recovered_invoice(OURS, [other], to_void=True), Ask), "somebody may have typed it in"
    for found in (replace(other, marker="fp:inv_1"), replace(other, status=InvoiceStatus.VOID)):
        decision = recovered_invoice(OURS, [found], to_void=True)
        assert isinstance(decision, Adopt)
        assert decision.origin == "created"


def test_one_that_is_linked_to_another_invoice_is_left() -> None:
    assert isinstance(match_invoice(OURS, [there()], taken={"r1": "fp:inv_2"}), Create)


@pytest.mark.parametrize("other", [{"total": Decimal("105.00")}, {"total": Decimal("99.99")}, {"currency": "USD"}])
def test_another_sum_or_currency_is_put_before_a_person_with_both_sums(other: dict[str, Any]) -> None:
    for decision in (match_invoice(OURS, [there(**other)], taken={}), recovered_invoice(OURS, [there(**other)])):
        assert isinstance(decision, Ask)
        assert decision.kind == "amount_differs"
        assert "100.00 AED" in decision.why
        assert [judged.candidate.provider_entity_id for judged in decision.candidates] == ["r1"]


def test_two_with_the_number_are_put_before_a_person_unless_one_carries_the_mark() -> None:
    asked = match_invoice(OURS, [there("r1"), there("r2")], taken={})
    assert isinstance(asked, Ask)
    assert asked.kind == "ambiguous"
    decision = match_invoice(OURS, [there("r1"), there("r2", marker="fp:inv_1", number="7")], taken={})
    assert isinstance(decision, Adopt)
    assert (decision.candidate.provider_entity_id, decision.origin) == ("r2", "adopted_marker")


def test_a_void_one_is_not_adopted_and_none_is_made_beside_it_unasked() -> None:
    void = there("r1", status=InvoiceStatus.VOID)
    asked = match_invoice(OURS, [void], taken={})
    assert isinstance(asked, Ask)
    assert asked.kind == "inactive"
    assert isinstance(match_invoice(OURS, [void, there("r2")], taken={}), Adopt)


def test_one_that_lives_beside_ours_which_is_void_is_told_from_it() -> None:
    """Somebody may have made their own and voided ours, or ours for another reason: only a person knows."""
    void = there("r1", marker="fp:inv_1", status=InvoiceStatus.VOID)
    asked = match_invoice(OURS, [void, there("r2")], taken={})
    assert isinstance(asked, Ask)
    assert asked.kind == "inactive"
    assert "another one with the number INV-1 is not" in asked.why
    told = {judged.candidate.provider_entity_id: judged.why for judged in asked.candidates}
    assert told == {"r1": "cancelled or voided", "r2": "has this invoice's number, and was not made for it here"}


def test_a_lost_create_is_recognised_as_created_and_nothing_else_is() -> None:
    found = recovered_invoice(OURS, [there()])
    assert isinstance(found, Adopt)
    assert found.origin == "created"
    assert recovered_invoice(OURS, [there(number="INV-2")]) is None


def test_a_hint_is_followed_only_where_all_agrees() -> None:
    followed = judge_invoice_hint(OURS, there(), taken={})
    assert followed is not None
    assert followed.origin == "hint"
    for wrong in (there(total=Decimal(1)), there(number="INV-2"), there(status=InvoiceStatus.VOID)):
        assert judge_invoice_hint(OURS, wrong, taken={}) is None


def test_equal_number_and_customer_guard_each_other_and_tell_nothing() -> None:
    assert invoice_guards(OURS) == invoice_guards(replace(OURS, invoice=replace(OURS.invoice, invoice_id="inv_2")))
    assert invoice_guards(OURS) != invoice_guards(replace(OURS, customer_record="c2"))
    assert "INV-1" not in "".join(invoice_guards(OURS))
