"""Nomod's charges, simulated: what was paid on invoices and links, and refunds.

https://www.nomod.com/docs/api-reference/fetch-charges. A payer pays on a hosted page, never through the API, so tests
pay with `pay_invoice` and `pay_link`. A charge's `source` holds card data, as the real one does: drop it unread.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

from aiohttp import web

from connectors.testing.nomod_api import ApiOptions, Endpoint, Record, gmt
from connectors.testing.nomod_checks import Refusal
from connectors.testing.nomod_links import NomodLinks
from connectors.testing.nomod_money import Bill, money

_HIDDEN = frozenset({"type", "customer_id", "paid", "returned"})


class NomodCharges(NomodLinks):
    """The charges of the account. `charges` maps id → record, newest last."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self.charges: dict[str, Record] = {}

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        """Return the charges beside what was there."""
        return {
            **super().endpoints(),
            "/v1/charges": {"GET": self._list_charges},
            "/v1/charges/{id}": {"GET": self._get_charge},
            "/v1/charges/{id}/refund": {"POST": self._refund_charge},
        }

    def pay_invoice(self, invoice_id: str, *, payment_method: str = "nomod") -> str:
        """Pay an invoice as its customer does on the hosted page; returns the charge's id.

        Raises ValueError for an invoice that is paid or cancelled, KeyError for none.
        """
        invoice = self.invoices[invoice_id]
        if invoice["status"] != "unpaid":
            raise ValueError(f"the invoice is {invoice['status']}")
        invoice["status"] = "paid"
        return self._charge("invoice", invoice, invoice["customer_id"], payment_method)

    def pay_link(self, link_id: str, *, customer_id: str | None = None, payment_method: str = "nomod") -> str:
        """Pay a link as anybody does who has its address; returns the charge's id.

        Raises ValueError for a link that is off, expired or archived, KeyError for none.
        """
        link = self.links[link_id]
        status = "archived" if link["archived"] else self.link_status(link)
        if status != "enabled":
            raise ValueError(f"the link is {status}")
        link["payments"] += 1
        if customer_id is not None:
            link["payers"].add(customer_id)
        return self._charge("link", link, customer_id, payment_method)

    def _charge(self, kind: str, paid_for: Record, customer_id: str | None, payment_method: str) -> str:
        bill: Bill = paid_for["bill"]
        moment = gmt(self.now())
        snippet = {
            name: self.customers.get(customer_id or "", {}).get(name, "") for name in ("first_name", "last_name")
        }
        charge = {
            "id": self.new_id(),
            "reference_id": len(self.charges) + 1,
            "created": moment,
            **{name: value for name, value in bill.shown().items() if name not in {"amount", "taxes"}},
            "status": "paid",
            "total": money(bill.amount),
            "refund_total": money(Decimal()),
            "note": paid_for["note"],
            "payment_method": payment_method,
            "discount_percentage": f"{bill.discount_percentage}.00",
            "tip_percentage": "0.00",
            "user": self.user,
            "source": {
                "type": "card",
                "last4": "4242",
                "card_data": {"card_number": "4242424242424242", "security_code": "123"},
            },
            "view_count": None,
            "error": "",
            "custom_fields": [],
            "refunds": [],
            "payment_capture_source": "hosted_page",
            "events": [{"created": moment, "type": "completed", "message": "Charge completed", "user": self.user}],
            "settlement_currency": bill.currency,
            "fee": None,
            "fx_fee": None,
            "fee_tax": money(Decimal()),
            "net": None,
            "network_cost": None,
            "success_url": paid_for["success_url"],
            "failure_url": paid_for["failure_url"],
            "invoice": {"id": paid_for["id"], "reference_id": paid_for["reference_id"]} if kind == "invoice" else None,
            "link": {"id": paid_for["id"], "reference_id": paid_for["reference_id"]} if kind == "link" else None,
            "customer": {"id": customer_id, **snippet} if customer_id else None,
            "type": kind,
            "customer_id": customer_id,
            "paid": bill.amount,
            "returned": Decimal(),
        }
        self.charges[charge["id"]] = charge
        return str(charge["id"])

    async def _list_charges(self, request: web.Request) -> web.Response:
        query = request.query
        rows = []
        for charge in self.listed(self.charges.values()):
            wanted = (name for name in ("currency", "customer_id", "id", "status", "type") if query.get(name))
            link = query.get("link_id")
            if (
                all(charge[name] == query[name] for name in wanted)
                and (not link or (charge["link"] or {}).get("id") == link)
                and query.get("search", "").casefold() in charge["note"].casefold()
            ):
                rows.append(_shown(charge))
        return self.page(request, rows)

    async def _get_charge(self, request: web.Request) -> web.Response:
        return self.answer(_shown(self.found(request, self.charges)))

    async def _refund_charge(self, request: web.Request) -> web.Response:
        charge = self.found(request, self.charges)
        if charge["status"] == "refunded":
            raise Refusal("charge_already_refunded", "Charge is already refunded.")
        if charge["status"] not in {"paid", "partially_refunded"}:
            raise Refusal("charge_not_paid", "Charge is not paid.")
        amount = (await self.fields(request)).money("amount", charge["currency"])
        if amount <= 0:
            raise Refusal("invalid_refund_amount", "Invalid refund amount.")
        if amount > charge["paid"] - charge["returned"]:
            raise Refusal("refund_amount_exceeds", "Refund amount exceeds the charge amount.")
        charge["returned"] += amount
        charge["refund_total"] = money(charge["returned"])
        charge["refunds"].append({"created": gmt(self.now()), "amount": money(amount)})
        charge["status"] = "refunded" if charge["returned"] == charge["paid"] else "partially_refunded"
        return self.answer({"message": "Succesfully refunded"})


def _shown(charge: Record) -> Record:
    """Return the charge as answers have it. `invoice`, `link` and `customer` were seen live, where they apply."""
    live_only = ("invoice", "link", "customer")
    return {
        name: value
        for name, value in charge.items()
        if name not in _HIDDEN and not (name in live_only and value is None)
    }
