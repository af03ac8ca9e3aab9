"""Nomod's customers, simulated: list with its doubtful filters, create with its limits, and the ledger of both.

https://www.nomod.com/docs/api-reference/create-contact. There is no update, no delete, no metadata and no idempotency
key.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, Unpack

from aiohttp import web

from connectors.testing.nomod_api import ApiOptions, Endpoint, NomodApi, Record, gmt
from connectors.testing.nomod_checks import Fields, Refusal
from connectors.testing.nomod_places import COUNTRIES, CURRENCIES, Country, Province

FilterMode: TypeAlias = Literal["email", "search", "ignored"]
"""Which filter `GET /v1/customers` has; every other parameter is ignored, and "ignored" has none: the whole list."""

Duplicates: TypeAlias = Literal["accept", "refuse"]
"""What becomes of a second customer with the same `unique_field`."""

Unset: TypeAlias = Literal["empty", "null", "absent"]
"""How an answer shows a field without a value."""

_LIMITS = {"last_name": 150, "business_name": 50, "job_title": 50, "street": 100, "city": 100, "zip_code": 16}
_FIELDS = (
    "first_name", "last_name", "business_name", "job_title", "province", "city", "street", "zip_code", "country",
    "email", "phone_number",
)  # fmt: skip
_SEARCHED = ("first_name", "last_name", "business_name", "email", "phone_number")
_PROVINCES: dict[str, Province] = {
    province.id: province for country in COUNTRIES.values() for province in country.provinces
}


class NomodCustomers(NomodApi):
    """The customers of one Nomod account. `customers` maps id → record, in the order in which they were made.

    The attributes say what the real service does where its pages are silent or contradict themselves.
    """

    filter_mode: FilterMode = "email"
    filter_ignores_case: bool = True
    duplicates: Duplicates = "accept"
    duplicate_status: int = 400
    unique_field: str = "email"
    required: frozenset[str] = frozenset({"first_name", "email"})
    """The fields that a create must have. No page flags any; a client in production treats these two so."""
    refuse_metadata: bool = False
    unset: Unset = "empty"
    lookups_paged: bool = False
    """Whether look-up data comes in pages or bare: none of the readable pages says."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self.customers: dict[str, Record] = {}
        self.creations: list[Record] = []
        """A copy of each record as it was when a POST made it, removed ones included: what really happened here."""
        self._by_email: dict[str, list[str]] = defaultdict(list)

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        """Return the customers and the look-up data."""
        return {
            **super().endpoints(),
            "/v1/customers": {"GET": self._list_customers, "POST": self._create_customer},
            "/v1/customers/{id}": {"GET": self._get_customer},
            "/v1/countries": {"GET": self._list_countries},
            "/v1/countries/{id}/provinces": {"GET": self._list_provinces},
            "/v1/currencies": {"GET": self._list_currencies},
        }

    # The ledger, and the hands of people who use the app beside the API.

    def seed(
        self,
        *,
        first_name: str,
        email: str = "",
        created: dt.datetime | None = None,
        customer_id: str | None = None,
        **fields: str,
    ) -> str:
        """Make a customer as a person does in the app, a day ago unless `created` says when; returns the id.

        Takes every field of a customer; `province` is a province's id. Nothing is checked but the names of the fields.
        """
        moment = created or self.now() - dt.timedelta(days=1)
        record = self._keep({"first_name": first_name, "email": email, **fields}, moment, customer_id)
        return str(record["id"])

    def edit(self, customer_id: str, **fields: str) -> None:
        """Change a customer as a person does in the app. Raises KeyError for an unknown id or field."""
        record = self.customers[customer_id]
        if unknown := fields.keys() - set(_FIELDS):
            raise KeyError(*sorted(unknown))
        self._by_email[_key(record["email"])].remove(customer_id)
        record.update(fields)
        self._by_email[_key(record["email"])].append(customer_id)

    def remove(self, customer_id: str) -> None:
        """Delete a customer as a person does in the app. Raises KeyError for an unknown id."""
        record = self.customers.pop(customer_id)
        self._by_email[_key(record["email"])].remove(customer_id)

    def with_email(self, email: str) -> list[Record]:
        """Return the customers that have this address now, however they came to be; case does not matter."""
        return [self.customers[customer_id] for customer_id in self._by_email.get(_key(email), ())]

    def created_count(self, email: str) -> int:
        """Return how many customers POSTs have made with this address, removed ones included, seeded ones not."""
        return sum(_key(record["email"]) == _key(email) for record in self.creations)

    # The API.

    async def _list_customers(self, request: web.Request) -> web.Response:
        return self.page(request, [self._shown(record) for record in self.listed(self._filtered(request.query))])

    def _filtered(self, query: Mapping[str, str]) -> Iterator[Record]:
        wanted = query.get(self.filter_mode, "")
        if self.filter_mode == "email" and wanted:
            yield from (row for row in self.with_email(wanted) if self.filter_ignores_case or row["email"] == wanted)
        elif self.filter_mode == "search" and wanted:
            for row in self.customers.values():
                if any(wanted.casefold() in row[name].casefold() for name in _SEARCHED):
                    yield row
        else:
            yield from self.customers.values()

    async def _create_customer(self, request: web.Request) -> web.Response:
        fields = self._checked(await self.fields(request))
        if self.duplicates == "refuse" and self._taken(fields[self.unique_field]):
            raise Refusal("customer_already_exists", "Customer already exists", status=self.duplicate_status)
        record = self._keep(fields, self.now())
        self.creations.append(dict(record))
        return self.answer(self._shown(record), self.created_status)

    async def _get_customer(self, request: web.Request) -> web.Response:
        return self.answer(self._shown(self.found(request, self.customers)))

    def _taken(self, value: str) -> bool:
        """Tell whether a customer has this value in the unique field; those that lists do not show yet count too."""
        if self.unique_field == "email":
            return bool(value) and bool(self.with_email(value))
        return bool(value) and any(_key(record[self.unique_field]) == _key(value) for record in self.customers.values())

    def _checked(self, fields: Fields) -> dict[str, str]:
        """Return what a create keeps of the fields that were sent, or refuse."""
        if self.refuse_metadata and fields.has("metadata"):
            raise fields.refuse("metadata", "Unknown field.")
        country = fields.country("country")
        province = fields.province("province", country)
        return {
            "first_name": fields.text("first_name", 150, required="first_name" in self.required),
            "email": fields.email("email", required="email" in self.required),
            "phone_number": fields.phone("phone_number", required="phone_number" in self.required),
            **{name: fields.text(name, limit, required=name in self.required) for name, limit in _LIMITS.items()},
            "country": country,
            "province": province.id if province else "",
        }

    def _keep(self, fields: Mapping[str, str], created: dt.datetime, customer_id: str | None = None) -> Record:
        if unknown := fields.keys() - set(_FIELDS):
            raise TypeError(f"a customer has no {', '.join(sorted(unknown))}")
        record: Record = {"id": customer_id or self.new_id(), "created": gmt(created)}
        record |= {name: fields.get(name, "") for name in _FIELDS}
        self.customers[record["id"]] = record
        self._by_email[_key(record["email"])].append(record["id"])
        return record

    def _shown(self, record: Record) -> Record:
        """Return the record as answers have it: the province is a number there, and 0 where there is none."""
        row = dict(record)
        row["province"] = _PROVINCES[record["province"]].number if record["province"] else 0
        for name in _FIELDS:
            if row[name] or self.unset == "empty":
                continue
            if self.unset == "absent":
                del row[name]
            else:
                row[name] = None
        return row

    async def _list_countries(self, request: web.Request) -> web.Response:
        return self._lookup(request, [_country(country) for country in COUNTRIES.values()])

    async def _list_provinces(self, request: web.Request) -> web.Response:
        for country in COUNTRIES.values():
            if country.id == request.match_info["id"].lower():
                return self._lookup(request, [{"id": part.id, "name": part.name} for part in country.provinces])
        raise Refusal("not_found", "The requested resource was not found on this server.", status=404)

    async def _list_currencies(self, request: web.Request) -> web.Response:
        return self._lookup(request, [{"code": code, "decimals": digits} for code, digits in CURRENCIES.items()])

    def _lookup(self, request: web.Request, rows: list[Record]) -> web.Response:
        """Answer look-up data bare or in pages: which of the two Nomod does is in none of its readable pages."""
        return self.page(request, rows) if self.lookups_paged else self.answer(rows)


def _country(country: Country) -> Record:
    return {"id": country.id, "code": country.code, "name": country.name}


def _key(text: str) -> str:
    return text.strip().casefold()
