"""A strict stand-in for QuickBooks Online and Intuit's OAuth on loopback, with a ledger of what really happened."""

from decimal import Decimal
from typing import Any

from connectors.testing import quickbooks_sales
from connectors.testing.quickbooks_company import Company
from connectors.testing.quickbooks_gate import RequestIds
from connectors.testing.quickbooks_names import folded
from connectors.testing.quickbooks_service import QuickBooksService
from connectors.testing.quickbooks_wire import Record


class QuickBooksSimulator(QuickBooksService):
    """One Intuit on loopback, for tests and for trying things out.

    How it behaves where Intuit's documents are silent is a field of `quirks`; what goes wrong is planned in `faults`,
    which makes Intuit's own errors by name; `limits` and `requests` belong to the first company; `oauth` holds the
    token chains; `company` the records; `calls`, `minor_versions` and `tids` what was asked.
    """

    # ------------------------------------------------------------ what goes into a connection's configuration

    @property
    def base_url(self) -> str:
        """The accounting API's base, without `/v3`."""
        return self.url

    @property
    def authorize_url(self) -> str:
        """The consent page."""
        return f"{self.url}/connect/oauth2"

    @property
    def token_url(self) -> str:
        """Where codes are exchanged and tokens refreshed."""
        return f"{self.url}/oauth2/v1/tokens/bearer"

    @property
    def revoke_url(self) -> str:
        """Where a disconnect is told."""
        return f"{self.url}/v2/oauth2/tokens/revoke"

    @property
    def realm_id(self) -> str:
        """The first company's id."""
        return self.company.realm_id

    @property
    def client_id(self) -> str:
        """The app's id."""
        return self.oauth.client_id

    @property
    def client_secret(self) -> str:
        """The app's secret."""
        return self.oauth.client_secret

    # ------------------------------------------------------------ the ledger, and what people do in QuickBooks itself

    @property
    def customers(self) -> dict[str, Record]:
        """The customers by Id, inactive ones included, merged ones not. Change them through the methods below."""
        return self.company.shelves["Customer"].records

    @property
    def vendors(self) -> dict[str, Record]:
        """The vendors by Id."""
        return self.company.shelves["Vendor"].records

    @property
    def employees(self) -> dict[str, Record]:
        """The employees by Id."""
        return self.company.shelves["Employee"].records

    @property
    def invoices(self) -> dict[str, Record]:
        """The invoices by Id, void ones included."""
        return self.company.shelves["Invoice"].records

    @property
    def payments(self) -> dict[str, Record]:
        """The payments that were received, by Id."""
        return self.company.shelves["Payment"].records

    @property
    def items(self) -> dict[str, Record]:
        """The items by Id; "Services" is there from the start."""
        return self.company.shelves["Item"].records

    @property
    def sales_receipts(self) -> dict[str, Record]:
        """The sales receipts by Id."""
        return self.company.shelves["SalesReceipt"].records

    @property
    def merged(self) -> dict[str, str | None]:
        """The dead customer Ids, with the Id each was merged into."""
        return self.company.shelves["Customer"].gone

    def customers_named(self, name: str) -> list[Record]:
        """Return the customers whose DisplayName is this one to QuickBooks, whatever case and spacing."""
        return [record for record in self.customers.values() if folded(record["DisplayName"]) == folded(name)]

    def customers_with_email(self, address: str) -> list[Record]:
        """Return the customers that have this e-mail address, alone or in a list, in any case."""

        def addresses(record: Record) -> list[str]:
            held = record.get("PrimaryEmailAddr", {}).get("Address", "")
            return [part.strip().casefold() for part in held.split(",")]

        return [record for record in self.customers.values() if address.casefold() in addresses(record)]

    def seed_customer(self, *, email: str | None = None, **fields: Any) -> Record:
        """Put in a customer that has been there for a month, by the same rules as over HTTP (Refusal)."""
        return self.company.seed("Customer", **_with_email(email, fields))

    def seed_vendor(self, *, email: str | None = None, **fields: Any) -> Record:
        """Put in a vendor."""
        return self.company.seed("Vendor", **_with_email(email, fields))

    def seed_employee(self, *, email: str | None = None, **fields: Any) -> Record:
        """Put in an employee."""
        return self.company.seed("Employee", **_with_email(email, fields))

    def seed_item(self, name: str, **fields: Any) -> Record:
        """Put in a service item which earns into the first income account."""
        accounts = self.company.shelves["Account"].records.values()
        income = next(account["Id"] for account in accounts if account["AccountType"] == "Income")
        return self.company.seed(
            "Item", **{"Name": name, "Type": "Service", "IncomeAccountRef": {"value": income}} | fields
        )

    def seed_invoice(self, customer: str, *, number: str, amount: Decimal, currency: str | None = None) -> Record:
        """Put in an invoice with one line, which has been there for a month."""
        item = next(iter(self.items))
        detail = {"ItemRef": {"value": item}}
        line = {"Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}
        fields: dict[str, Any] = {"CustomerRef": {"value": customer}, "DocNumber": number, "Line": [line]}
        if self.quirks.multicurrency:
            fields["CurrencyRef"] = {"value": currency or self.quirks.home_currency}
        return self.company.seed("Invoice", **fields)

    def deactivate(self, key: str, *, entity: str = "Customer") -> Record:
        """Make a customer (or another entity) inactive."""
        return self.company.change(entity, key, Active=False)

    def reactivate(self, key: str, *, entity: str = "Customer") -> Record:
        """Make a customer (or another entity) active again."""
        return self.company.change(entity, key, Active=True)

    def rename(self, key: str, name: str, *, entity: str = "Customer") -> Record:
        """Give a customer (or another entity) another name."""
        return self.company.change(entity, key, **{"Name" if entity in {"Item", "Account"} else "DisplayName": name})

    def merge(self, loser: str, winner: str) -> None:
        """Merge two customers: the loser's Id answers 610 from now on, its invoices are the winner's."""
        self.company.merge(loser, winner)

    def pay(self, invoice_id: str, amount: Decimal | None = None) -> Record:
        """Take a payment for an invoice, all that is open where no amount is given."""
        return quickbooks_sales.pay(self.company, self.invoices[invoice_id], amount)

    def issue_tokens(self, realm_id: str | None = None) -> tuple[str, str]:
        """Return an access and a refresh token, as if a consent had just been exchanged."""
        return self.oauth.issue(realm_id or self.realm_id)

    def add_company(self, realm_id: str, name: str) -> Company:
        """Add another company; set `oauth.consent_realm` for the administrator to pick it."""
        company = self.companies[realm_id] = Company(realm_id, name, self.quirks)
        self._requests[realm_id] = RequestIds(self.quirks)
        return company


def _with_email(email: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    return fields if email is None else {"PrimaryEmailAddr": {"Address": email}} | fields
