"""Invoices in QuickBooks: what the tests of them bill, and how they read what was booked."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gateway.sandbox.flexprice_bills import Line
from storage.records import DeliveryStatus, JobStatus
from tests.harness import Rig

D = Decimal
ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
CREATE, QUERY = "POST /v3/company/*/invoice", "GET /v3/company/*/query"
PLAN = (Line("Plan A", "1000.10", "1"), Line("Overage", "499.90", "3"))


async def configure(rig: Rig) -> None:
    """Have Flexprice's invoices made in a company that keeps its books in dollars."""
    rig.intuit.quirks.home_currency = "USD"
    await rig.add_flexprice()
    await rig.add_quickbooks(invoices=True)


async def bill(rig: Rig, **invoice: Any) -> str:
    """Finalize an invoice in dollars for Ada, and return the id of the delivery."""
    known = [customer for customer in rig.flexprice.customers.values() if customer["name"] == ADA["name"]]
    ada = known[0] if known else rig.flexprice.add_customer(**ADA)
    return await rig.finalize(ada["id"], **{"currency": "usd", **invoice})


def made(rig: Rig) -> dict[str, Any]:
    """Return the one invoice that QuickBooks has."""
    [invoice] = rig.intuit.invoices.values()
    return invoice


def booked(invoice: Mapping[str, Any]) -> list[tuple[str, Decimal, str]]:
    """Return description, amount and item of each line."""
    lines = [line for line in invoice["Line"] if line["DetailType"] == "SalesItemLineDetail"]
    return [
        (line.get("Description", ""), line["Amount"], line["SalesItemLineDetail"]["ItemRef"]["name"]) for line in lines
    ]


async def ended(rig: Rig, delivery: str) -> DeliveryStatus:
    """Return where a delivery stands."""
    return (await rig.delivery(delivery)).status


async def failure(rig: Rig) -> Mapping[str, Any]:
    """Return the error of the one job that has failed."""
    [job] = [job for job in await rig.jobs() if job.status is JobStatus.FAILED]
    assert isinstance(job.error, dict)
    return job.error


async def retry_failed(rig: Rig) -> None:
    """Retry the one job that has failed, as a person does."""
    [job] = [job for job in await rig.jobs() if job.status is JobStatus.FAILED]
    await rig.retry(job.job_id)


async def void(rig: Rig) -> str:
    """Void the one invoice at the platform, and return the id of the webhook's delivery."""
    [invoice] = rig.flexprice.invoices
    rig.flexprice.void_invoice(invoice)
    return await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]})
