"""What the conformance kit is told about Nomod: the simulated service, and the facts that its pages lack."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.nomod.connector import NomodConnector
from connectors.payments import PaymentStatus
from connectors.testing.clock import Clock
from connectors.testing.harness import Harness, InvoiceRecord, LinkRecord, Record, State
from connectors.testing.nomod import API_KEY, NomodSimulator


class NomodHarness(Harness):
    """Nomod with an e-mail filter that works; that it may be ignored is a fault like others."""

    connector = NomodConnector
    filters = ("email", "search")
    absent_id = "00000000-0000-4000-8000-000000000000"
    older_configs = (
        {"api_key": API_KEY},
        {"api_key": API_KEY, "base_url": "https://api.nomod.com", "marker": False, "recovery_lookups": [5, 20, 60]},
    )

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.nomod = self.service = NomodSimulator(clock=clock.unix)

    def config(self, url: str) -> Mapping[str, Any]:
        """Return a key, the address and the shortest time limit."""
        return {"api_key": API_KEY, "base_url": url, "timeout_seconds": 1}

    def records(self) -> Sequence[Record]:
        """Return the customers."""
        return [
            Record(
                record_id=record["id"],
                name=" ".join(part for part in (record["first_name"], record["last_name"]) if part),
                emails=(record["email"],) if record["email"] else (),
            )
            for record in self.nomod.customers.values()
        ]

    def invoices(self) -> Sequence[InvoiceRecord]:
        """Return the invoices."""
        return [
            InvoiceRecord(
                record_id=record["id"],
                number=record["invoice_number"],
                customer_record=record["customer_id"],
                total=record["bill"].amount,
                currency=record["bill"].currency,
                void=record["status"] == "cancelled",
            )
            for record in self.nomod.invoices.values()
        ]

    def seed_invoice(self, *, number: str, customer_record: str, total: Decimal, currency: str) -> str:
        """Make an invoice as a person does in the app."""
        return self.nomod.seed_invoice(customer_record, number=number, amount=total, currency=currency)

    def links(self) -> Sequence[LinkRecord]:
        """Return the payment links."""
        return [
            LinkRecord(
                record_id=record["id"],
                amount=record["bill"].amount,
                currency=record["bill"].currency,
                active=self.nomod.link_status(record) == "enabled" and not record["archived"],
            )
            for record in self.nomod.links.values()
        ]

    def surcharge(self) -> bool:
        """Switch the account's own tax on."""
        self.nomod.account_tax = Decimal(5)
        return True

    def pay_link(self, record_id: str) -> str:
        """Pay on the link's page."""
        return self.nomod.pay_link(record_id)

    def pay_invoice(self, record_id: str, amount: Decimal | None = None) -> str:
        """Pay on the invoice's page, which takes no parts."""
        return self.nomod.pay_invoice(record_id)

    def unsettled(self, payment_id: str) -> Iterator[PaymentStatus]:
        """Give the charge every other status, one that nobody knows too."""
        charge = self.nomod.charges[payment_id]
        for status, told in (
            ("created", PaymentStatus.PENDING), ("authorised", PaymentStatus.PENDING),
            ("disputed", PaymentStatus.PENDING), ("something_new", PaymentStatus.PENDING),
            ("failed", PaymentStatus.FAILED), ("cancelled", PaymentStatus.FAILED),
            ("partially_refunded", PaymentStatus.RETURNED), ("refunded", PaymentStatus.RETURNED),
        ):  # fmt: skip
            charge["status"] = status
            yield told

    def detach(self, payment_id: str) -> None:
        """Make the charge one that was taken at a counter."""
        self.nomod.charges[payment_id].update(invoice=None, link=None)

    def cards(self) -> Sequence[str]:
        """Return the number of the card that every charge holds."""
        return ("4242424242424242",)

    def seed(self, *, name: str, email: str, state: State = State.ACTIVE) -> str:
        """Make a customer as a person does in the app."""
        if state is not State.ACTIVE:
            raise ValueError("a customer at Nomod is there, or is not")
        return self.nomod.seed(first_name=name, email=email)


class MarkedNomodHarness(NomodHarness):
    """The same with the marker switched on."""

    def config(self, url: str) -> Mapping[str, Any]:
        """Return the config with the marker."""
        return {**super().config(url), "marker": True}
