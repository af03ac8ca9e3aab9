"""Nomod's payment links, simulated: create, find, switch on and off, archive.

https://www.nomod.com/docs/api-reference/generate-link. A link has no customer, no reference of ours and no metadata;
its `status` says whether it can be opened, not whether it was paid.
"""

from collections.abc import Mapping
from typing import Unpack

from aiohttp import web

from connectors.testing.nomod_api import ApiOptions, Endpoint, Record
from connectors.testing.nomod_checks import Fields, Refusal
from connectors.testing.nomod_invoices import NomodInvoices
from connectors.testing.nomod_money import Bill

_HIDDEN = frozenset({"bill", "code", "success_url", "failure_url", "created", "payments", "payers", "archived"})


class NomodLinks(NomodInvoices):
    """The payment links of the account. `links` maps id → record, with `bill`, `payments` and `archived` inside."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self.links: dict[str, Record] = {}

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        """Return the links beside what was there."""
        return {
            **super().endpoints(),
            "/v1/links": {"GET": self._list_links, "POST": self._create_link},
            "/v1/links/{id}": {"GET": self._get_link},
            "/v1/links/{id}/edit": {"PATCH": self._edit_link},
            "/v1/links/{id}/delete": {"DELETE": self._delete_link},
        }

    def link_status(self, link: Record) -> str:
        """Return `enabled` or `disabled`, or the undocumented `expired` once all payments it was for have come."""
        limit = link["payment_expiry_limit"]
        if limit is not None and link["payments"] >= limit:
            return "expired"
        if link["expiry_date"] is not None and link["expiry_date"] < self.now().date().isoformat():
            return "expired"
        return str(link["status"])

    async def _create_link(self, request: web.Request) -> web.Response:
        link = self._checked_link(await self.fields(request))
        self.links[link["id"]] = link
        return self.answer(self._shown_link(link), 201)

    def _checked_link(self, fields: Fields) -> Record:
        if fields.has("payment_expiry_limit") and fields.has("expiry_date"):
            raise fields.refuse("expiry_date", "Only one of payment_expiry_limit and expiry_date may be set.")
        expiry = fields.date("expiry_date")
        limit = fields.whole("payment_expiry_limit", 1, 2**31, 1) if fields.has("payment_expiry_limit") else None
        return {
            "bill": self.read_bill(fields),
            "status": "enabled",
            "payments": 0,
            "payers": set(),
            "archived": False,
            "allow_tip": fields.flag("allow_tip", default=False),
            "shipping_address_required": fields.flag("shipping_address_required", default=False),
            "payment_expiry_limit": limit,
            "expiry_date": expiry.isoformat() if expiry else None,
            **self.read_page(fields),
        }

    async def _list_links(self, request: web.Request) -> web.Response:
        query = request.query
        rows = []
        for link in self.listed(link for link in self.links.values() if not link["archived"]):
            shown = self._shown_link(link)
            wanted = (name for name in ("currency", "id", "reference_id", "status") if query.get(name))
            payer = query.get("customer_id")
            if (
                all(shown[name] == query[name] for name in wanted)
                and (not payer or payer in link["payers"])
                and query.get("search", "").casefold() in link["title"].casefold()
            ):
                rows.append(shown)
        return self.page(request, rows)

    async def _get_link(self, request: web.Request) -> web.Response:
        return self.answer(self._shown_link(self._live(request)))

    async def _edit_link(self, request: web.Request) -> web.Response:
        link = self._live(request)
        fields = await self.fields(request)
        title, status = fields.text("title", 50), fields.text("status", 50)
        if not fields.has("title") and not fields.has("status"):
            raise Refusal("missing_status", "status: This field is required.")
        if fields.has("status"):
            if status not in {"enabled", "disabled"}:
                raise Refusal("invalid_status", "status: Invalid status.")
            if status == link["status"]:
                raise Refusal(f"already_{status}", f"Link is already {status}.")
            link["status"] = status
        if fields.has("title"):
            link["title"] = title
        return self.answer(self._shown_link(link))

    async def _delete_link(self, request: web.Request) -> web.Response:
        link = self.found(request, self.links)
        if link["archived"]:
            raise Refusal("already_deleted", "Link is already deleted.")
        link["archived"] = True
        return web.Response(status=204)

    def _live(self, request: web.Request) -> Record:
        link = self.found(request, self.links)
        return self.found(request, {}) if link["archived"] else link

    def _shown_link(self, link: Record) -> Record:
        bill: Bill = link["bill"]
        return {
            **{name: value for name, value in link.items() if name not in _HIDDEN},
            **bill.shown(),
            "status": self.link_status(link),
            "discount_percentage": bill.discount_percentage,
            "tip_percentage": 0,
            "due_date": None,
        }
