"""What follows a made invoice in QuickBooks: it is voided, mailed, and paid by a link."""

import pytest

from connectors.testing.simulator import Fault, FaultKind
from storage.records import DeliveryStatus
from tests.harness import Rig
from tests.integration.invoices_in_quickbooks import ADA, CREATE, D, bill, configure, ended, failure, made, void


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await configure(rig)


async def test_a_void_invoice_is_voided_once_even_while_a_bookkeeper_changes_it(rig: Rig) -> None:
    await bill(rig)
    await rig.finish()
    stale = Fault(kind=FaultKind.REFUSE, route=CREATE, body=b'{"Fault":{"Error":[{"code":"5010"}],"type":"V"}}')
    rig.intuit.faults.add(stale)
    first = await void(rig)
    second = await void(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["TotalAmt"] == 0
    assert {await ended(rig, each) for each in (first, second)} == {DeliveryStatus.PROCESSED}
    voids = [call for call in rig.intuit.calls_of(CREATE) if call.query.get("operation") == "void" and call.worked]
    assert len(voids) == 1


async def test_a_paid_invoice_is_not_voided(rig: Rig) -> None:
    await bill(rig)
    await rig.finish()
    rig.intuit.pay(made(rig)["Id"], D(100))
    await void(rig)
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], made(rig)["TotalAmt"]) == ("invoice_paid", D(1500))


@pytest.mark.parametrize("payments", [True, False])
async def test_the_payment_link_is_told_to_the_platform_where_there_is_one(rig: Rig, payments: bool) -> None:
    rig.intuit.quirks.payments_enabled = payments
    await rig.add_quickbooks(invoices=True, payment_link=True, email_invoices=True)
    await bill(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    invoice = made(rig)
    assert (invoice["EmailStatus"], invoice["BillEmail"]["Address"]) == ("NeedToSend", ADA["email"])
    assert invoice["AllowOnlineCreditCardPayment"] is True
    [ours] = rig.flexprice.invoices.values()
    url = f"https://pay.example/portal/{rig.intuit.realm_id}/{invoice['Id']}" if payments else None
    assert ours["metadata"].get("quickbooks_invoice_url") == url


async def test_a_customer_without_an_address_is_billed_all_the_same(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, email_invoices=True)
    await rig.finalize(rig.flexprice.add_customer(name="No Mail", email="")["id"], currency="usd")
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["EmailStatus"] == "NotSet"
    [mapping] = await rig.mappings(entity_type="invoice")
    assert any("no e-mail address" in warning for warning in mapping.details["warnings"])
