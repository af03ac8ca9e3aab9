"""Nomod's invoices, simulated: create, find, read, cancel.

https://www.nomod.com/docs/api-reference/generate-invoice, .../list-invoice, .../edit-invoice. There is no send, no
delete, no mark-paid and no idempotency key; `invoice_number` is all that tells two invoices apart.
"""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Unpack

from aiohttp import web

from connectors.testing.nomod_api import ApiOptions, Endpoint, Record, gmt
from connectors.testing.nomod_checks import Fields, Refusal
from connectors.testing.nomod_customers import NomodCustomers
from connectors.testing.nomod_money import Bill, read_bill
from connectors.testing.nomod_places import CURRENCIES

_ROW = (
    "id", "title", "url", "amount", "currency", "status", "discount", "service_fee", "shipping_address_required",
    "items", "tax", "note", "taxes", "service_fee_percentage", "tip", "invoice_number", "due_date", "source",
    "allow_tabby", "allow_tamara", "allow_service_fee",
)  # fmt: skip
_SNIPPET = ("first_name", "last_name", "business_name", "email", "phone_number")


class NomodInvoices(NomodCustomers):
    """The invoices of the account. `invoices` maps id → record, with `bill`, `customer_id` and dates inside."""

    account_tax: Decimal = Decimal(0)
    """Percent that the account adds to every invoice and link: set in the merchant's app, invisible to requests."""
    max_items: int = 50
    unique_invoice_numbers: bool = False

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self.invoices: dict[str, Record] = {}
        self.user = {"id": self.new_id(), "first_name": "Nadia", "last_name": "Owner"}

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        """Return the invoices beside what was there."""
        return {
            **super().endpoints(),
            "/v1/invoices": {"GET": self._list_invoices, "POST": self._create_invoice},
            "/v1/invoices/{id}": {"GET": self._get_invoice},
            "/v1/invoices/{id}/edit": {"PATCH": self._edit_invoice},
        }

    def seed_invoice(self, customer_id: str, *, number: str, amount: Decimal, currency: str = "AED") -> str:
        """Make an invoice over one item, as a person does in the app, and return its id.

        Raises Refusal for what the app would not take either.
        """
        places = CURRENCIES[currency]
        fields = Fields(
            {
                "customer": customer_id,
                "currency": currency,
                "invoice_number": number,
                "due_date": (self.now().date() + dt.timedelta(days=30)).isoformat(),
                "items": [{"name": "Made by hand", "amount": f"{amount:.{places}f}", "quantity": 1}],
            }
        )
        invoice = self._checked_invoice(fields)
        self.invoices[invoice["id"]] = invoice
        return str(invoice["id"])

    def invoice_status(self, invoice: Record) -> str:
        """Return `paid`, `cancelled`, `overdue` or `unpaid`, as of now."""
        if invoice["status"] == "unpaid" and invoice["due_date"] < self.now().date():
            return "overdue"
        return str(invoice["status"])

    async def _create_invoice(self, request: web.Request) -> web.Response:
        invoice = self._checked_invoice(await self.fields(request))
        self.invoices[invoice["id"]] = invoice
        return self.answer(self._shown_invoice(invoice), self.created_status)

    def _checked_invoice(self, fields: Fields) -> Record:
        customer_id = fields.uuid("customer", "invalid_customer")
        if customer_id not in self.customers:
            raise Refusal("invalid_customer", "Customer does not exist.")
        start = fields.date("service_date")
        due = fields.date("due_date", required=True, code="invalid_due_date")
        if due is None or due < (start or self.now().date()):
            raise Refusal("invalid_due_date", "Due date cannot be before start date.")
        number = fields.text("invoice_number", 30)
        taken = {invoice["invoice_number"] for invoice in self.invoices.values()} if self.unique_invoice_numbers else ()
        if number and number in taken:
            raise fields.refuse("invoice_number", "Invoice with this invoice number already exists.")
        return {
            "bill": self.read_bill(fields),
            "customer_id": customer_id,
            "service_date": start,
            "due_date": due,
            "invoice_number": number or f"{len(self.invoices) + 1:06}",
            "status": "unpaid",
            **self.read_page(fields),
        }

    def read_bill(self, fields: Fields) -> Bill:
        """Read the money of an invoice or a link."""
        ids = [self.new_id() for _ in range(self.max_items)]
        return read_bill(fields, ids, tax_percentage=self.account_tax, max_items=self.max_items)

    def read_page(self, fields: Fields) -> Record:
        """Read what invoices and links have in common beside money, and make up what the server adds."""
        custom = [row.text("name", 100, required=True) for row in fields.objects("custom_fields", 5)]
        code = f"{self.rng.getrandbits(40):010x}"
        return {
            "id": self.new_id(),
            "reference_id": f"{self.rng.randrange(10_000, 100_000)}-{code[:4].upper()}",
            "created": gmt(self.now()),
            "code": code,
            "title": fields.text("title", 50),
            "note": fields.text("note", 280, nullable=True),
            "custom_fields": [{"name": name, "is_required": False} for name in custom],
            "url": f"https://pay.nomod.example/{code}",
            **{name: fields.flag(name, default=True) for name in ("allow_tabby", "allow_tamara", "allow_service_fee")},
            "success_url": fields.url("success_url"),
            "failure_url": fields.url("failure_url"),
            "source": "nomod_api",
        }

    async def _list_invoices(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = {
            name: query[name]
            for name in ("currency", "customer_id", "id", "invoice_number", "reference_id", "status")
            if query.get(name)
        }
        rows = []
        for invoice in self.listed(self.invoices.values()):
            facts = {
                **invoice,
                "currency": invoice["bill"].currency,
                "status": self.invoice_status(invoice),
            }
            matches = all(facts[name] == value for name, value in wanted.items())
            if matches and query.get("search", "").casefold() in invoice["title"].casefold():
                rows.append(self._row(invoice))
        return self.page(request, rows)

    async def _get_invoice(self, request: web.Request) -> web.Response:
        return self.answer(self._shown_invoice(self.found(request, self.invoices)))

    async def _edit_invoice(self, request: web.Request) -> web.Response:
        invoice = self.found(request, self.invoices)
        fields = await self.fields(request)
        title = fields.text("title", 50)
        status = fields.text("status", 50)
        if not fields.has("title") and not fields.has("status"):
            raise Refusal("missing_status", "status: This field is required.")
        if fields.has("status"):
            if status != "cancelled" or invoice["status"] != "unpaid":
                raise Refusal("invalid_status", "status: Invalid status.")
            invoice["status"] = status
        if fields.has("title"):
            invoice["title"] = title
        return self.answer(self._shown_invoice(invoice))

    def _shown_invoice(self, invoice: Record) -> Record:
        bill: Bill = invoice["bill"]
        customer = self.customers.get(invoice["customer_id"], {})
        created = {"created": invoice["created"], "type": "created", "message": "Invoice created", "user": self.user}
        return {
            **{name: value for name, value in invoice.items() if name not in {"bill", "customer_id"}},
            **bill.shown(),
            "status": self.invoice_status(invoice),
            "shipping_address_required": False,
            "expiry": None,
            "discount_percentage": f"{bill.discount_percentage}.00",
            "tip_percentage": "0.00",
            "user": self.user,
            "service_date": _midnight(invoice["service_date"]),
            "due_date": _midnight(invoice["due_date"]),
            "interval_count": None,
            "starts_at": None,
            "ends_at": None,
            "due_days": None,
            "email": customer.get("email", ""),
            "payment_capture_source": "hosted_page",
            "max_allowed_charges_count": 1,
            "files": [],
            "reminders": [],
            "events": [created],
            "customer": {"id": invoice["customer_id"], **{name: customer.get(name, "") for name in _SNIPPET}},
        }

    def _row(self, invoice: Record) -> Record:
        """Return the smaller shape of the list: no `created`, no `reference_id`, and a customer without its id."""
        shown: dict[str, Any] = self._shown_invoice(invoice)
        return {
            **{name: shown[name] for name in _ROW},
            "discount_percentage": invoice["bill"].discount_percentage,
            "tip_percentage": 0,
            "custom_fields": invoice["custom_fields"],
            "customer": {name: shown["customer"][name] for name in _SNIPPET},
        }


def _midnight(date: dt.date | None) -> str | None:
    return gmt(dt.datetime.combine(date, dt.time(), dt.UTC)) if date else None
