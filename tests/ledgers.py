"""Whose record is whose at the simulated providers: what only their own ledgers can tell."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from connectors.quickbooks.customers import marker_in
from connectors.testing.nomod import NomodSimulator
from connectors.testing.quickbooks import QuickBooksSimulator


class LedgerNomod(NomodSimulator):
    """A Nomod that also writes down for which billing customer each POST has made a record.

    The real one drops the `metadata` that says so, and this one shows it to nobody but the invariants.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.made_for: dict[str, list[str]] = defaultdict(list)
        """Billing customer → the records that were made for it."""

    async def _create_customer(self, request: web.Request) -> web.Response:
        before = len(self.creations)
        answer = await super()._create_customer(request)
        metadata = json.loads(await request.read()).get("metadata", {})
        owner = next((str(value) for key, value in metadata.items() if key.endswith("_customer_id")), "")
        for record in self.creations[before:]:
            self.made_for[owner].append(str(record["id"]))
        return answer


def invoices_in_nomod(nomod: NomodSimulator) -> Mapping[str, list[str]]:
    """Return invoice number → the invoices that were made with it and not cancelled since."""
    made: dict[str, list[str]] = defaultdict(list)
    for key, invoice in nomod.invoices.items():
        if invoice["status"] != "cancelled":
            made[invoice["invoice_number"]].append(key)
    return made


def links_in_nomod(nomod: NomodSimulator) -> Mapping[str, list[str]]:
    """Return what payment links are titled with, without their mark → those that can still be paid."""
    made: dict[str, list[str]] = defaultdict(list)
    for key, link in nomod.links.items():
        if nomod.link_status(link) == "enabled" and not link["archived"]:
            made[link["title"].rpartition(" (")[0]].append(key)
    return made


def made_in_quickbooks(intuit: QuickBooksSimulator) -> Mapping[str, list[str]]:
    """Return billing customer → the records that were made for it, by the marker in their notes; no merged ones."""
    made: dict[str, list[str]] = defaultdict(list)
    for company in intuit.companies.values():
        for key, record in company.shelves["Customer"].records.items():
            reference = marker_in(str(record.get("Notes", "")))
            if reference is not None:
                made[reference.partition(":")[2]].append(key)
    return made


def invoices_in_quickbooks(intuit: QuickBooksSimulator) -> Mapping[str, list[str]]:
    """Return what was billed or given → what was made for it, by the mark; no void ones, which have lost it."""
    made: dict[str, list[str]] = defaultdict(list)
    for company in intuit.companies.values():
        shelves = [company.shelves[name].records for name in ("Invoice", "SalesReceipt")]
        for key, record in [item for records in shelves for item in records.items()]:
            reference = marker_in(str(record.get("PrivateNote", "")))
            if reference is not None:
                made[reference.partition(":")[2]].append(key)
    return made


def gifts_in_quickbooks(intuit: QuickBooksSimulator) -> Mapping[str, list[str]]:
    """Return gift → the receipts in which it stands: in one of its own, or as a line of a day's."""
    made: dict[str, list[str]] = defaultdict(list)
    for key, receipt in intuit.sales_receipts.items():
        gift = (marker_in(str(receipt.get("PrivateNote", ""))) or "").partition(":")[2]
        lines = [line["Description"] for line in receipt["Line"] if line["DetailType"] == "SalesItemLineDetail"]
        for each in lines if gift.startswith("gift-day:") else [gift]:
            made[each].append(key)
    return made
