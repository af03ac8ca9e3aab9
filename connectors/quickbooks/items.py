"""Which item of QuickBooks a line is booked with: by the settings, by its name, else the fallback; never left out.

https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/item. Ids are kept in the connection's
memory for a day, since reads are metered, and forgotten as soon as QuickBooks says that one is gone.
"""

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectors.base import Host
from connectors.errors import (
    DuplicateRefusedError,
    NotOfferedError,
    PermissionRefusedError,
    StaleRecordError,
    UnreachableError,
)
from connectors.invoice_errors import ItemMissingError
from connectors.invoices import Document, Invoice, InvoiceLine
from connectors.quickbooks import queries
from connectors.quickbooks.client import QuickBooksApi, Row, before_writing, record_in
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.names import NAME_LIMIT, clean, garbled, key_of, shorten

KEPT = timedelta(days=1)
NO_LINES = frozenset({"Category", "Group"})
"""Types of items that no line can be booked with by their id alone."""
INCOME = frozenset({"Income", "Other Income"})
ASSETS = frozenset({"Bank", "Other Current Asset"})
_FACT = "quickbooks.item."
_CREATE = uuid.UUID("0d6bb2c5-59cf-5a1e-8f0f-2b7a4d1f6e35")
_AT_ONCE = 20
"""Names in one query: it travels in the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """The items of one invoice, line by line, and those of what is taken off or put on."""

    lines: tuple[str, ...]
    discount: str = ""
    credit: str = ""
    tax: str = ""
    deposit: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for. `setting` names the setting that says so; without one the fallback will do as well."""

    name: str = field(repr=False)
    setting: str = ""


class Items:
    """The items of one company."""

    def __init__(self, config: QuickBooksConfig, host: Host, api: QuickBooksApi) -> None:
        self._config, self._host, self._api = config, host, api
        self._chosen = {key_of(name): item for name, item in config.items.items()}

    async def of(self, invoice: Invoice, *, seed: str, discounts: bool = True) -> Booked:
        """Return what to book the invoice with. `seed` makes the request ids of items that are created.

        Without `discounts` they need no item, since they go as a discount line.

        Raises ItemMissingError where there is nothing to book with, NotOfferedError where the company has no items at
        all and the settings name none, UnreachableError for what may pass: of the invoice nothing was sent.
        """
        try:
            return await self._of(invoice if discounts else replace(invoice, discounts=()), seed)
        except PermissionRefusedError as error:
            raise ItemMissingError(
                f"QuickBooks does not let this connection see to items and accounts: {error.detail}",
                provider_code=error.provider_code, provider_request_id=error.provider_request_id,
            ) from error  # fmt: skip
        except StaleRecordError as error:
            raise ItemMissingError(
                f"an item could not be created: {error.detail}", provider_code=error.provider_code,
                provider_request_id=error.provider_request_id,
            ) from error  # fmt: skip

    async def _of(self, invoice: Invoice, seed: str) -> Booked:
        with before_writing("the company's items"):
            wanted = [self._wanted(line, invoice) for line in invoice.lines]
            extra = self._extra(invoice)
            fallback = _Wanted(self._config.fallback_item, "fallback_item")
            found = await self._named({each.name for each in (*wanted, *extra.values(), fallback) if each.name})
            lines, fallen = [], 0
            for each in wanted:
                key = found.get(each.name)
                if key is None and not each.setting and self._config.create_items and each.name:
                    key = await self._create(each.name, seed)
                    found |= {each.name: key} if key else {}
                if key is None and not each.setting:
                    key, fallen = await self._fallback(found, fallback), fallen + 1
                lines.append(key or self._missing(each))
            others = {kind: found.get(each.name) or await self._else(found, each) for kind, each in extra.items()}
            deposit = await self._deposit_account(invoice)
        told = f"{fallen} of {len(lines)} lines booked with the fallback item: none has their name"
        return Booked(lines=tuple(lines), deposit=deposit, **others, warnings=(told,) if fallen else ())

    async def forget(self, invoice: Invoice) -> None:
        """Forget the items of this invoice: one of them is gone, or was made inactive."""
        wanted = [self._wanted(line, invoice) for line in invoice.lines]
        names = {each.name for each in (*wanted, *self._extra(invoice).values())}
        for name in names | {self._config.fallback_item, _account(self._config.deposit_account)}:
            await self._host.memory.put(_fact(name), "")

    # What is wanted --------------------------------------------------------------------------------------------

    def _wanted(self, line: InvoiceLine, invoice: Invoice) -> _Wanted:
        if invoice.document is Document.RECEIPT and self._config.gift_item:
            return _Wanted(self._config.gift_item, "gift_item")
        for said in (line.item, line.description):
            chosen = self._chosen.get(key_of(said)) if said else None
            if chosen is not None:
                return _Wanted(chosen, "items")
        return _Wanted(shorten(clean(line.item or line.description), NAME_LIMIT))

    def _extra(self, invoice: Invoice) -> dict[str, _Wanted]:
        settings, wanted = self._config, {}
        if invoice.discounts:
            wanted["discount"] = _chosen(settings.discount_item, "discount_item", settings.fallback_item)
        if invoice.credits:
            wanted["credit"] = _chosen(settings.credit_item, "credit_item", settings.fallback_item)
        if invoice.tax and settings.tax_item:
            wanted["tax"] = _Wanted(settings.tax_item, "tax_item")
        return wanted

    async def _else(self, found: dict[str, str], each: _Wanted) -> str:
        if each.setting == "fallback_item":
            return await self._fallback(found, each)
        return self._missing(each)

    async def _fallback(self, found: dict[str, str], fallback: _Wanted) -> str:
        key = found.get(fallback.name)
        if key is not None:
            return key
        if "fallback_item" not in self._config.model_fields_set and not await self._api.rows("Item", columns="Id"):
            raise NotOfferedError("the company in QuickBooks has no item at all to book a line with")
        return self._missing(fallback)

    def _missing(self, each: _Wanted) -> str:
        raise ItemMissingError(
            f"QuickBooks has no active item {each.name!r}, which the setting {each.setting} names"
            if each.name
            else f"a line has no item of its name in QuickBooks, and the setting {each.setting} names none"
        )

    # Looking up ------------------------------------------------------------------------------------------------

    async def _named(self, names: Iterable[str]) -> dict[str, str]:
        """Return name → id for those that have a usable item. A look-up that fails raises: it is never "not found"."""
        known, unknown = {}, []
        for name in sorted(names):
            key = _kept(await self._host.memory.get(_fact(name)), self._host.now())
            if key:
                known[name] = key
            else:
                unknown.append(name)
        for name, key in (await self._asked(unknown)).items():
            await self._keep(name, key)
            known[name] = key
        return known

    async def _keep(self, name: str, key: str) -> None:
        await self._host.memory.put(_fact(name), f"{key} {self._host.now().isoformat()}")

    async def _asked(self, names: Sequence[str]) -> dict[str, str]:
        rows: list[Row] = []
        for column, group in (
            ("Name", [name for name in names if ":" not in name and queries.is_writable(name)]),
            ("FullyQualifiedName", [name for name in names if ":" in name and queries.is_writable(name)]),
        ):
            for start in range(0, len(group), _AT_ONCE):
                rows += await self._items(queries.one_of(column, group[start : start + _AT_ONCE]))
        if not all(queries.is_writable(name) for name in names):
            rows += await self._items()  # the query language cannot write such a name: the list is read
        found = {name: _pick(rows, name) for name in names}
        return {name: key for name, key in found.items() if key}

    async def _items(self, *conditions: str) -> list[Row]:
        return await self._api.rows("Item", *conditions, queries.EITHER_ACTIVE)

    # Creating --------------------------------------------------------------------------------------------------

    async def _create(self, name: str, seed: str) -> str | None:
        """Create a service; None where the name is held by what no line can be booked with."""
        account = await self._income_account()
        body = {"Name": name, "Type": "Service", "IncomeAccountRef": {"value": account}}
        request_id = str(uuid.uuid5(_CREATE, f"{seed}|{key_of(name)}"))
        try:
            key = str(record_in(await self._api.write("item", body, request_id=request_id), "Item")["Id"])
        except DuplicateRefusedError as error:
            return await self._taken(name, error)
        await self._keep(name, key)
        return key

    async def _taken(self, name: str, error: DuplicateRefusedError) -> str | None:
        """Return who has the name: another job has just created it, or it is inactive and of no use."""
        rows = await self._items(*([queries.equal("Name", name)] if queries.is_writable(name) else []))
        if not any(_is_called(row, name) for row in rows):
            raise UnreachableError("an item's name is taken, and its holder cannot be seen yet") from error
        return _pick(rows, name)

    async def _deposit_account(self, invoice: Invoice) -> str:
        """Return where a receipt's money lies; empty where QuickBooks is to take its own Undeposited Funds."""
        wanted = self._config.deposit_account
        if invoice.document is not Document.RECEIPT or not wanted:
            return ""
        name = _account(wanted)
        key = _kept(await self._host.memory.get(_fact(name)), self._host.now())
        if not key:
            rows = await self._accounts(wanted)
            usable = [str(row["Id"]) for row in rows if row.get("AccountType") in ASSETS]
            if len(usable) != 1:
                raise ItemMissingError(
                    f"QuickBooks has no active bank or current asset account {wanted!r}, which the setting"
                    " deposit_account names"
                )
            key = usable[0]
            await self._keep(name, key)
        return key

    async def _accounts(self, name: str) -> list[Row]:
        column = "FullyQualifiedName" if ":" in name else "Name"
        rows = await self._api.rows("Account", queries.equal(column, name))
        return [row for row in rows if row.get("Active") is not False]

    async def _income_account(self) -> str:
        wanted = self._config.income_account
        rows = await (self._accounts(wanted) if wanted else self._api.rows("Account", "AccountType = 'Income'"))
        usable = [str(row["Id"]) for row in rows if row.get("AccountType") in INCOME and row.get("Active") is not False]
        if len(usable) == 1:
            return usable[0]
        raise ItemMissingError(
            f"QuickBooks has no active income account {wanted!r}, which the setting income_account names"
            if wanted
            else f"{len(usable)} income accounts: set income_account to the one into which new items are to earn"
        )


def _chosen(name: str, setting: str, fallback: str) -> _Wanted:
    return _Wanted(name, setting) if name else _Wanted(fallback, "fallback_item")


def _account(name: str) -> str:
    """Return under which name an account is remembered: items may have the same."""
    return f"{name}\naccount" if name else ""


def _is_called(row: Row, name: str) -> bool:
    """Whether an item has this name, in full where the name says where it stands."""
    said = str(row.get("FullyQualifiedName" if ":" in name else "Name") or "")
    kept = said.removesuffix(" (deleted)") if row.get("Active") is False else said
    return _plain(name) in {_plain(said), _plain(kept)} or key_of(garbled(name)) == key_of(said)


def _plain(name: str) -> str:
    return ":".join(key_of(part) for part in name.split(":"))


def _pick(rows: Sequence[Row], name: str) -> str | None:
    """Return the one active item of a name; of several, as parents may have them, the one that has no parent."""
    found = {
        str(row["Id"]): row
        for row in rows
        if _is_called(row, name) and row.get("Active") is not False and row.get("Type") not in NO_LINES
    }
    if len(found) > 1:
        found = {key: row for key, row in found.items() if row.get("FullyQualifiedName") == row.get("Name")}
    return next(iter(found)) if len(found) == 1 else None


def _fact(name: str) -> str:
    return _FACT + hashlib.sha256(_plain(name).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _kept(fact: str | None, now: datetime) -> str:
    """Return the id of a fact that is not a day old."""
    key, _, moment = (fact or "").partition(" ")
    return key if key and timedelta() <= now - datetime.fromisoformat(moment) < KEPT else ""
