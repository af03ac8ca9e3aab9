"""What the conformance kit is told about QuickBooks Online: the simulated Intuit, connected to one company."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from connectors.payments import PaymentStatus
from connectors.quickbooks.connector import QuickBooksConnector
from connectors.testing.clock import Clock
from connectors.testing.harness import Asked, Harness, InvoiceRecord, Record, State
from connectors.testing.quickbooks import QuickBooksSimulator

_WHERE = re.compile(r"\s+where\s+.*?(?=\s+orderby\s)", re.DOTALL)
_OLDEST = {"client_id": "ABxSandboxClientId", "client_secret": "sandbox-client-secret"}


class QuickBooksHarness(Harness):
    """QuickBooks with a refresh token for a headless set-up."""

    connector = QuickBooksConnector
    states = frozenset({State.INACTIVE, State.OTHER, State.MERGED})
    crowd = 1010
    pays_parts = True
    absent_id = "99999999"
    ignorable = ":"
    older_configs = (
        {**_OLDEST, "environment": "production"},
        {**_OLDEST, "environment": "sandbox", "realm_id": "4620816365000000000", "recovery_lookups": [5, 20, 60]},
    )

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.intuit = self.service = QuickBooksSimulator()
        self.intuit.quirks.clock = clock.unix

    def config(self, url: str) -> Mapping[str, Any]:
        """Return the app's keys, the company, and the token of a consent just given."""
        _, refresh_token = self.intuit.issue_tokens()
        return {
            "client_id": self.intuit.client_id, "client_secret": self.intuit.client_secret, "environment": "sandbox",
            "realm_id": self.intuit.realm_id, "refresh_token": refresh_token, "base_url": url,
            "token_url": f"{url}/oauth2/v1/tokens/bearer", "revoke_url": f"{url}/v2/oauth2/tokens/revoke",
            "timeout_seconds": 0.5,
        }  # fmt: skip

    def records(self) -> Sequence[Record]:
        """Return the customers, those merged away, and the vendors."""
        customers = [_record(row) for row in self.intuit.customers.values()]
        merged = [Record(record_id=key, state=State.MERGED) for key in self.intuit.merged]
        vendors = [Record(record_id=f"vendor:{key}", state=State.OTHER) for key in self.intuit.vendors]
        return [*customers, *merged, *vendors]

    def seed(self, *, name: str, email: str, state: State = State.ACTIVE) -> str:
        """Put in a customer, and make of it what is asked for: inactive, a sub-customer, or merged into another."""
        fields: dict[str, Any] = {}
        if state is State.OTHER:
            parent = self.intuit.seed_customer(DisplayName=f"Parent of {name}")
            fields = {"Job": True, "ParentRef": {"value": parent["Id"]}}
        key = str(self.intuit.seed_customer(DisplayName=name, email=email, **fields)["Id"])
        if state is State.INACTIVE:
            self.intuit.deactivate(key)
        elif state is State.MERGED:
            winner = self.intuit.seed_customer(DisplayName=f"Winner over {name}")
            self.intuit.merge(key, str(winner["Id"]))
        return key

    def invoices(self) -> Sequence[InvoiceRecord]:
        """Return the invoices; a void one is worth nothing."""
        return [
            InvoiceRecord(
                record_id=str(row["Id"]), number=str(row.get("DocNumber", "")),
                customer_record=str(row["CustomerRef"]["value"]), total=row["TotalAmt"],
                currency=str(row["CurrencyRef"]["value"]), void=row.get("PrivateNote") == "Voided",
            )
            for row in self.intuit.invoices.values()
        ]  # fmt: skip

    def seed_invoice(self, *, number: str, customer_record: str, total: Decimal, currency: str) -> str:
        """Put an invoice in as a bookkeeper types it, with one line."""
        return str(self.intuit.seed_invoice(customer_record, number=number, amount=total, currency=currency)["Id"])

    def pay_invoice(self, record_id: str, amount: Decimal | None = None) -> str:
        """Take a payment, as a bookkeeper enters one."""
        return str(self.intuit.pay(record_id, amount)["Id"])

    def unsettled(self, payment_id: str) -> Iterator[PaymentStatus]:
        """Void the payment: it keeps its lines, and loses its amounts."""
        payment = self.intuit.payments[payment_id]
        payment["TotalAmt"] = Decimal(0)
        for line in payment["Line"]:
            line["Amount"] = Decimal(0)
        yield PaymentStatus.FAILED

    def detach(self, payment_id: str) -> None:
        """Take the invoice out of the payment, whose money is then the customer's credit."""
        self.intuit.payments[payment_id]["Line"] = []

    def widened(self, asked: Asked) -> Asked:
        """Take the condition out of a query."""
        query = tuple((key, _WHERE.sub("", value) if key == "query" else value) for key, value in asked.query)
        return replace(asked, query=query)

    def expire_tokens(self) -> bool:
        """End every access token."""
        self.intuit.oauth.expire_access_tokens()
        return True

    def secrets(self) -> Sequence[str]:
        """Return the tokens of all consents."""
        chains = self.intuit.oauth.chains
        return [token for chain in chains for token in (chain.refresh_token, *chain.rotated, *chain.access_tokens)]


def _record(row: Mapping[str, Any]) -> Record:
    state = State.ACTIVE if row.get("Active") is not False else State.INACTIVE
    if row.get("Job") is True or row.get("ParentRef"):
        state = State.OTHER
    emails = row.get("PrimaryEmailAddr", {}).get("Address", "")
    return Record(
        record_id=str(row["Id"]), name=str(row["DisplayName"]), emails=(emails,) if emails else (), state=state
    )
