"""The bodies of the simulated webhooks: every shape that a version of Flexprice gave them, written as Go writes."""

import json
import random
from typing import Any

import pytest

from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.sender import Shape, encode, invoice_event
from tests.contract.simulated import Clock


@pytest.fixture
def flexprice(rng: random.Random) -> FlexpriceSimulator:
    return FlexpriceSimulator(clock=Clock(), rng=rng)


def invoice_of(flexprice: FlexpriceSimulator, **options: Any) -> str:
    owner = flexprice.add_customer(name="Branch <A&B>", contact="+971501234567", metadata={"crm": "77"})
    payer = flexprice.add_customer(name="Head office")
    return str(flexprice.add_invoice(payer["id"], subscription_owner_id=owner["id"], tax="5", **options)["id"])


ALWAYS = {
    "id",
    "customer_id",
    "invoice_status",
    "payment_status",
    "currency",
    "amount_due",
    "amount_paid",
    "amount_remaining",
    "total",
    "subtotal",
}


@pytest.mark.parametrize(
    "shape,there,absent",
    [
        (Shape.API_2026_04, {"customer", "tenant_id", "environment_id", "updated_at", "taxes"}, {"subscription"}),
        (Shape.MINIMAL_2026_08, {"line_items"}, {"customer", "tenant_id", "environment_id", "updated_at"}),
        (Shape.WHOLE_2026_08, {"customer", "tenant_id", "environment_id", "updated_at", "subscription"}, set()),
        (Shape.SLIM_2026_09, {"customer", "environment_id", "updated_at", "metadata"}, {"tenant_id", "subscription"}),
        (Shape.COMMUNICATION, {"environment_id"}, {"customer", "line_items", "tenant_id", "updated_at"}),
    ],
)
def test_each_shape_has_what_its_version_sent_and_the_fields_of_every_version(
    flexprice: FlexpriceSimulator, shape: Shape, there: set[str], absent: set[str]
) -> None:
    invoice_id = invoice_of(flexprice, metadata={"po": "4711"})
    event = flexprice.event("invoice.update.finalized", invoice_id, shape=shape)
    assert set(event) == {"event_type", "invoice"}
    communicated = shape is Shape.COMMUNICATION
    assert event["event_type"] == ("invoice.communication.triggered" if communicated else "invoice.update.finalized")
    assert there | ALWAYS <= event["invoice"].keys()
    assert not absent & event["invoice"].keys()
    assert event["invoice"]["id"] == invoice_id


def test_the_slim_customer_has_no_phone_and_no_street_and_is_the_wrong_one_too(flexprice: FlexpriceSimulator) -> None:
    invoice_id = invoice_of(flexprice)
    invoice = flexprice.event("invoice.update.finalized", invoice_id, shape=Shape.SLIM_2026_09)["invoice"]
    assert not {"contact", "address_line1", "status", "tenant_id"} & invoice["customer"].keys()
    assert invoice["customer"]["name"] == "Branch <A&B>"
    assert invoice["customer"]["id"] != invoice["customer_id"]
    whole = flexprice.event("invoice.update.finalized", invoice_id, shape=Shape.WHOLE_2026_08)["invoice"]
    assert whole["customer"]["contact"] == "+971501234567"
    assert whole["subscription"]["invoicing_customer_id"] == invoice["customer_id"]


def test_minimal_bodies_have_lines_only_when_they_are_about_finalizing(flexprice: FlexpriceSimulator) -> None:
    event = flexprice.event("invoice.update.payment", invoice_of(flexprice), shape=Shape.MINIMAL_2026_08)
    assert "line_items" not in event["invoice"]


def test_a_late_body_shows_the_invoice_as_it_is_now(flexprice: FlexpriceSimulator) -> None:
    invoice_id = invoice_of(flexprice)
    flexprice.void_invoice(invoice_id)
    event = flexprice.event("invoice.update.finalized", invoice_id)
    assert event["invoice"]["invoice_status"] == "VOIDED"


def test_a_one_off_invoice_has_no_subscription_in_the_whole_shape(flexprice: FlexpriceSimulator) -> None:
    invoice = flexprice.add_invoice(flexprice.add_customer()["id"])
    event = flexprice.event("invoice.update.finalized", invoice["id"], shape=Shape.WHOLE_2026_08)
    assert "subscription" not in event["invoice"]


def test_events_about_customers_and_payments_have_their_own_objects(flexprice: FlexpriceSimulator) -> None:
    customer = flexprice.add_customer(contact="+971501234567")
    slim = flexprice.event("customer.created", customer["id"])
    assert (slim["event_type"], "contact" in slim["customer"]) == ("customer.created", False)
    assert "contact" in flexprice.event("customer.updated", customer["id"], shape=Shape.WHOLE_2026_08)["customer"]
    flexprice.payments["pay_1"] = {
        "id": "pay_1",
        "payment_status": "PENDING",
        "metadata": {"a": "b"},
        "failed_at": None,
    }
    assert flexprice.event("payment.pending", "pay_1") == {
        "event_type": "payment.pending",
        "payment": {"id": "pay_1", "payment_status": "PENDING"},
    }
    with pytest.raises(ValueError, match="wallet"):
        flexprice.event("wallet.created", "w_1")


def test_events_may_carry_more_beside_the_invoice(flexprice: FlexpriceSimulator) -> None:
    shown = flexprice.shown_invoice(flexprice.invoices[invoice_of(flexprice)])
    event = invoice_event(shown, event_type="invoice.sync.failed", error="no such customer")
    assert event["error"] == "no such customer"


def test_bodies_are_written_as_go_writes_them_and_sorted_only_by_svix() -> None:
    event = {"event_type": "x", "customer": {"name": "Müller & Söhne <GmbH>\u2028"}}
    native = encode(event)
    assert native == (
        b'{"event_type":"x","customer":{"name":"M\xc3\xbcller \\u0026 S\xc3\xb6hne \\u003cGmbH\\u003e\\u2028"}}'
    )
    assert encode(event, alphabetical=True).startswith(b'{"customer":')
    assert json.loads(native) == event
