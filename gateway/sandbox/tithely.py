"""Stand-in for Tithely's giving API on loopback: thin lists, whole charges, and errors that come as HTTP 200.

https://docs.tithe.ly/reference. Access there is by request only, so the shapes are those that clients in use read:
amounts are whole cents as text, times are Unix seconds as text, a list's rows have bare ids where a charge has objects.
"""

import base64
import hmac
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from aiohttp import hdrs, web

from connectors.testing.simulator import Handler, Simulator
from gateway.sandbox.flexprice_records import Record, rfc3339
from gateway.sandbox.sender import transaction_event

PUBLIC_KEY = "pub_sandbox_0123456789"
PRIVATE_KEY = "pri_sandbox_0123456789"
"""The key pair a simulator takes when the test names none."""

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Failure(Exception):
    """The request is answered with `{"status":"fail"}` and a reason: there is no code, and the HTTP status is 200."""


class TithelySimulator(Simulator):
    """One organization's gifts. `charges` and `accounts` map ids → whole objects, charges in the order of their dates.

    Every option is an attribute too. `error_status` is the HTTP status of failures.
    """

    throttled_body = b'{"status":"fail","reason":"Too many requests"}'

    def __init__(
        self,
        *,
        public_key: str = PUBLIC_KEY,
        private_key: str = PRIVATE_KEY,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Make an organization that knows the key pair; it listens from `start` on. `rng` makes ids repeatable."""
        super().__init__(host=host, port=port)
        self.public_key = public_key
        self.private_key = private_key
        self.clock = clock
        self.rng = rng or random.Random()  # noqa: S311 - ids of made-up gifts, not secrets
        self.error_status = 200
        self.amounts_as: Literal["text", "number"] = "text"
        self.organization_id = self.new_id("org")
        self.accounts: dict[str, Record] = {}
        self.charges: dict[str, Record] = {}

    @property
    def api_url(self) -> str:
        """What a source has as its `api_url`."""
        return f"{self.url}/api/v1"

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the readable endpoints, all behind the key pair."""
        endpoints = {
            "/charges-list": self._list_charges,
            "/charges/{id}": self._get_charge,
            "/accounts/{id}": self._get_account,
            "/organizations/{id}": self._get_organization,
        }
        for path, endpoint in endpoints.items():
            yield web.get(f"/api/v1{path}", self._guarded(endpoint), allow_head=False)

    def new_id(self, prefix: str) -> str:
        """Return a fresh id with its kind in front."""
        return f"{prefix}_{''.join(self.rng.choices(_ALPHABET, k=24))}"

    def add_donor(
        self, *, first_name: str = "", last_name: str = "", email: str = "", phone_number: str = "", **address: str
    ) -> str:
        """Make a giver's account and return its id. `address` has street_address, city, state, postal, country."""
        account_id = self.new_id("user")
        self.accounts[account_id] = {
            "account_id": account_id,
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
            "phone_number": phone_number,
            "address": {
                name: address.get(name, "") for name in ("street_address", "city", "state", "postal", "country")
            },
        }
        return account_id

    def add_gift(
        self,
        *,
        donor_id: str | None = None,
        first_name: str = "",
        last_name: str = "",
        email: str = "",
        amount: int = 2500,
        fees: int = 103,
        currency: str = "USD",
        giving_type: str = "Tithe",
        charge_status: str = "charged",
        created: float | None = None,
        memo: str = "",
    ) -> str:
        """Take a gift of `amount` cents at Unix time `created` (now) and return the charge's id.

        Without `donor_id` an account is made of the name and the address. Raises KeyError for an unknown donor.
        """
        donor_id = donor_id or self.add_donor(first_name=first_name, last_name=last_name, email=email)
        charge_id = self.new_id("ch")
        when = self.clock() if created is None else created
        self.charges[charge_id] = {
            "charge_id": charge_id,
            "charge_status": charge_status,
            "amount": amount,
            "net_amount": amount - fees,
            "fees": fees,
            "currency": currency,
            "giving_type": giving_type,
            "charge_date": str(int(when)),
            "deposit_date": "pending",
            "recurring_transaction": False,
            "fees_covered": False,
            "memo": memo,
            "organization": self.organization_id,
            "donor_account": self.accounts[donor_id]["account_id"],
            "payment_method": self.new_id("pm"),
        }
        return charge_id

    def event(self, charge_id: str, *, with_donor_id: bool = True) -> Record:
        """Return our own envelope about a gift, without what its donor did not give. Raises KeyError for none."""
        charge = self.charges[charge_id]
        donor = self.accounts[charge["donor_account"]]
        transaction = {
            "transaction_id": charge_id,
            "donor_id": donor["account_id"] if with_donor_id else None,
            **{name: donor[name] or None for name in ("first_name", "last_name", "email")},
            "amount": str(charge["amount"]),
            "currency": charge["currency"],
        }
        return transaction_event(transaction, timestamp=rfc3339(float(charge["charge_date"])))

    def _guarded(self, endpoint: Callable[[web.Request], Record]) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                self._authenticate(request)
                return web.json_response(endpoint(request))
            except Failure as failure:
                return web.json_response({"status": "fail", "reason": str(failure)}, status=self.error_status)

        return serve

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if scheme.lower() == "basic" else b""
        except ValueError:
            given = b""
        if not hmac.compare_digest(given, f"{self.public_key}:{self.private_key}".encode()):
            raise Failure("Invalid API credentials")

    def _list_charges(self, request: web.Request) -> Record:
        """Answer thin rows, newest first unless `order_by` says ASC; nothing tells whether there are more.

        Whether the bounds of time belong to the range is not documented; here they do not, so that a poller which
        counts on it loses gifts in its tests and not in production.
        """
        query = request.query
        if not query.get("organization_id") and not query.get("account_id"):
            raise Failure("organization_id or account_id is required")
        if query.get("organization_id", self.organization_id) != self.organization_id:
            raise Failure("Organization not found")
        asked = _number(query, "limit")
        limit = DEFAULT_LIMIT if asked is None else asked
        if not 1 <= limit <= MAX_LIMIT:
            raise Failure(f"limit must be between 1 and {MAX_LIMIT}")
        order = query.get("order_by", "DESC").upper()
        if order not in {"ASC", "DESC"}:
            raise Failure("order_by must be ASC or DESC")
        after, before = _number(query, "created_after"), _number(query, "created_before")
        rows = sorted(
            (
                charge
                for charge in self.charges.values()
                if (after is None or int(charge["charge_date"]) > after)
                and (before is None or int(charge["charge_date"]) < before)
                and query.get("account_id", charge["donor_account"]) == charge["donor_account"]
            ),
            key=lambda charge: int(charge["charge_date"]),
        )
        if order == "DESC":
            rows.reverse()
        rows = self._windowed(rows, query.get("starting_after"), query.get("ending_before"), limit)
        return {"status": "success", "type": "List", "data": [self._amounts(row) for row in rows]}

    def _windowed(self, rows: list[Record], after: str | None, before: str | None, limit: int) -> list[Record]:
        """Return the rows after one id, or the last of those before another."""
        ids = [row["charge_id"] for row in rows]
        for cursor in (after, before):
            if cursor and cursor not in ids:
                raise Failure("No such charge")
        if before:
            end = ids.index(before)
            return rows[max(0, end - limit) : end]
        start = ids.index(after) + 1 if after else 0
        return rows[start : start + limit]

    def _amounts(self, charge: Record) -> Record:
        """Return a charge with its cents as text, or as the numbers that were seen too."""
        shown = str if self.amounts_as == "text" else int
        return {**charge, **{name: shown(charge[name]) for name in ("amount", "net_amount", "fees")}}

    def _get_charge(self, request: web.Request) -> Record:
        charge = self.charges.get(request.match_info["id"])
        if charge is None:
            raise Failure("No such charge")
        shown = self._amounts(charge)
        shown["donor_account"] = self.accounts[charge["donor_account"]]
        shown["organization"] = self._organization()
        shown["payment_method"] = {
            "pm_id": charge["payment_method"],
            "pm_type": "card",
            "brand": "Visa",
            "last_4_digits": "4242",
        }
        charge_id = shown.pop("charge_id")
        return {"status": "success", "charge_id": charge_id, "type": "Charge", "object": shown}

    def _get_account(self, request: web.Request) -> Record:
        account = self.accounts.get(request.match_info["id"])
        if account is None:
            raise Failure("No such account")
        return {"status": "success", "account_id": account["account_id"], "type": "Account", "object": account}

    def _get_organization(self, request: web.Request) -> Record:
        if request.match_info["id"] != self.organization_id:
            raise Failure("Organization not found")
        return {
            "status": "success",
            "organization_id": self.organization_id,
            "type": "Organization",
            "object": self._organization(),
        }

    def _organization(self) -> Record:
        return {
            "organization_id": self.organization_id,
            "name": "Hope Church",
            "giving_types": ["Tithe", "Offering"],
        }


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise Failure(f"{name} must be a number")
    return int(text) if text else None
