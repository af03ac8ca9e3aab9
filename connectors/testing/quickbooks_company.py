"""The simulated company: its records, the names taken in it, and what create, update, void and merge do to them."""

import copy
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.testing import quickbooks_sales
from connectors.testing.quickbooks_checks import CURRENCIES, accept
from connectors.testing.quickbooks_entities import CUSTOMER, EMPLOYEE, ENTITIES, Entity, entity_named
from connectors.testing.quickbooks_names import NameBook, display_name, in_storage
from connectors.testing.quickbooks_query import parse
from connectors.testing.quickbooks_quirks import Quirks
from connectors.testing.quickbooks_select import select
from connectors.testing.quickbooks_shelf import Shelf
from connectors.testing.quickbooks_tokens import QueryError
from connectors.testing.quickbooks_wire import INACTIVE, Record, Refusal, stamp

_FIRST_IDS = {"Item": 1, "Account": 31, "Invoice": 145, "SalesReceipt": 901, "Payment": 801}
_PEOPLE_FIRST_ID = 58
_SEED_AGE = 30 * 86400.0


class Company:
    """One QuickBooks company (realm). Ids are unique per type only: a vendor may have the Id of a customer."""

    def __init__(self, realm_id: str, name: str, quirks: Quirks, *, seed: int = 0) -> None:
        self.realm_id, self.name, self.quirks = realm_id, name, quirks
        self.shelves = {entity: Shelf(_FIRST_IDS.get(entity, _PEOPLE_FIRST_ID)) for entity in ENTITIES}
        self.paid: dict[str, Decimal] = {}
        """What was paid of each invoice."""
        self.emails: list[tuple[str, str]] = []
        """Invoices sent by e-mail: Id and address, in order."""
        self.names = NameBook(quirks)
        self._last_numbers: dict[str, int] = {}
        self._chance = random.Random(seed)  # noqa: S311 - the order of rows, which nobody may rely on
        income = self.seed("Account", Name="Services", AccountType="Income", AccountSubType="ServiceFeeIncome")
        self.seed("Account", Name="Undeposited Funds", AccountType="Other Current Asset", AccountSubType="Undeposited")
        self.seed("Item", Name="Services", Type="Service", IncomeAccountRef={"value": income["Id"]})

    @property
    def now(self) -> float:
        """Intuit's time, in seconds since 1970."""
        return self.quirks.clock()

    # ------------------------------------------------------------ reads

    def read(self, entity: Entity, key: str) -> Record:
        """Return a record by Id, inactive ones included. Raises Refusal 610 for one that is not or no longer there."""
        self._allow(entity)
        if entity.name == "CompanyInfo" and key == self.realm_id:
            return self.company_info()
        record = self.shelves[entity.name].records.get(key)
        if record is None:
            raise Refusal(610, f"Object Not Found : {INACTIVE}")
        return record

    def query(self, statement: str) -> Record:
        """Run a statement and return the value of `QueryResponse`. Raises Refusal 4000 or 4001."""
        try:
            query = parse(statement)
            entity = entity_named(query.entity)
            if entity is not None:
                self._allow(entity)
                lists = self.quirks.email_equals_matches_lists
                return select(query, entity, self._rows(entity), chance=self._chance, email_lists=lists)
        except QueryError as error:
            raise Refusal(error.code, error.detail) from error
        raise Refusal(4001, f"QueryValidationError: {query.entity} is not a queryable entity")

    def company_info(self) -> Record:
        """Return the CompanyInfo record."""
        return self._stamped("CompanyInfo", {"CompanyName": self.name, "LegalName": self.name}) | {
            "Country": self.quirks.country, "FiscalYearStartMonth": "January",
            "NameValue": [{"Name": "SubscriptionStatus", "Value": "SUBSCRIBED"}],
        }  # fmt: skip

    def preferences(self) -> Record:
        """Return the Preferences record."""
        quirks = self.quirks
        currency = {"MultiCurrencyEnabled": quirks.multicurrency, "HomeCurrency": {"value": quirks.home_currency}}
        return self._stamped("Preferences", {"CurrencyPrefs": currency}) | {
            "SalesFormsPrefs": {
                "CustomTxnNumbers": quirks.custom_txn_numbers,
                "AllowDiscount": quirks.allow_discount,
            },
            "TaxPrefs": {
                "UsingSalesTax": quirks.sales_tax_rate is not None or quirks.country != "US",
                "PartnerTaxEnabled": quirks.sales_tax_rate is not None,
            },
            "AccountingInfoPrefs": {"CustomerTerminology": "Customers"},
        }

    def _rows(self, entity: Entity) -> list[Record]:
        match entity.name:
            case "CompanyInfo":
                return [self.company_info()]
            case "Preferences":
                return [self.preferences()]
            case "TaxCode":
                codes = {"TAX": "Tax", "NON": "Non"} if self.quirks.country == "US" else self.quirks.tax_codes
                return [self._stamped("TaxCode", {"Name": f"Tax {code}", "Active": True}, code) for code in codes]
            case name if self.quirks.query_lag > 0:
                return self.shelves[name].seen_at(self.now - self.quirks.query_lag)
            case name:
                return list(self.shelves[name].records.values())

    def _stamped(self, entity: str, record: Record, key: str = "1") -> Record:
        times = {"CreateTime": "2024-02-01T09:00:00-08:00", "LastUpdatedTime": "2024-02-01T09:00:00-08:00"}
        return {"Id": key, "SyncToken": "0", "domain": "QBO", "sparse": False, "MetaData": times} | record

    def _allow(self, entity: Entity) -> None:
        if entity is EMPLOYEE and not self.quirks.employee_access:
            raise Refusal(5020, "Permission Denied Error : You do not have access to employees.", status=403)

    # ------------------------------------------------------------ writes

    def write(self, entity: Entity, body: Mapping[str, Any], *, operation: str = "", include: str = "") -> Record:
        """Create, update, void or delete, as the body and `operation` say, and return the record as answered.

        Raises Refusal with the code of the first rule that is broken; then nothing has changed.
        """
        self._allow(entity)
        if not entity.writable or operation not in {"", "create", "update", "void", "delete"}:
            raise Refusal(500, f"Operation {operation or 'create'} is not supported for {entity.name}.")
        if "Id" not in body and operation in {"", "create"}:
            return self._create(entity, body, include=include)
        old = self._to_change(entity, body)
        if operation in {"void", "delete"}:
            if not entity.transaction or (operation == "void" and entity.name != "Invoice"):
                raise Refusal(500, f"Operation {operation} is not supported for {entity.name}.")
            if operation == "delete":
                return self._delete(entity, old)
            return self.touch("Invoice", quickbooks_sales.voided(old), old)
        return self._update(entity, body, old, include=include)

    def _create(self, entity: Entity, body: Mapping[str, Any], *, include: str = "", at: float | None = None) -> Record:
        return self.store(entity.name, self._completed(entity, accept(entity, body, self.quirks), None, include), at=at)

    def store(self, entity_name: str, record: Record, *, at: float | None = None) -> Record:
        """Give a finished new record its Id and store it; `at` makes it one of that age, known to every query."""
        when = stamp(self.now if at is None else at)
        record = record | {
            "Id": self.shelves[entity_name].new_id(), "SyncToken": "0", "domain": "QBO", "sparse": False,
            "MetaData": {"CreateTime": when, "LastUpdatedTime": when},
        }  # fmt: skip
        self._save(ENTITIES[entity_name], record, seeded_at=at)
        return record

    def _to_change(self, entity: Entity, body: Mapping[str, Any]) -> Record:
        key = body.get("Id")
        if not isinstance(key, str):
            raise Refusal(2030, f"Invalid ID : {key}", element="Id")
        old = self.read(entity, key)
        if "SyncToken" not in body:
            raise Refusal(2020, "Required parameter SyncToken is missing in the request", element="SyncToken")
        if body["SyncToken"] != old["SyncToken"]:
            raise Refusal(
                5010,
                "Stale Object Error : You and root were working on this at the same time. "
                "root finished before you did, so your work was not saved.",
            )
        return old

    def _update(self, entity: Entity, body: Mapping[str, Any], old: Record, *, include: str = "") -> Record:
        sent = accept(entity, body, self.quirks)
        if old.get("Active") is False and sent.get("Active") is not True:
            raise Refusal(610, f"Object Not Found : {INACTIVE}")
        kept = {key: old[key] for key in old if entity.properties[key].read_only and key != "sparse"}
        if body.get("sparse") is True:
            # A name cannot be blanked this way: an empty one is as if it were not sent.
            fixed = {"DisplayName", "PrintOnCheckName", "Name"}
            sent = copy.deepcopy(old) | {key: value for key, value in sent.items() if value != "" or key not in fixed}
        record = self._completed(entity, {**sent, **kept}, old, include)
        return self.touch(entity.name, record, old)

    def _completed(self, entity: Entity, record: Record, old: Record | None, include: str) -> Record:
        """Apply the business rules to what will be stored: defaults, unique names, references, sums."""
        record = {key: value for key, value in record.items() if value != ""}
        if entity.transaction:
            return quickbooks_sales.complete(self, entity, record, old, include=include)
        if entity.name_property == "DisplayName":
            record = self._person(entity, record, old)
        else:
            quickbooks_sales.check_list_entry(self, entity, record)
            full = quickbooks_sales.full_name(self, entity, record)
            record = {"Active": True} | record | {"FullyQualifiedName": full}
        self.names.claim(entity, record, old)
        return record

    def _person(self, entity: Entity, record: Record, old: Record | None) -> Record:
        name = display_name(record)
        currency = record.get("CurrencyRef", {}).get("value", self.quirks.home_currency)
        if currency not in CURRENCIES:
            raise Refusal(2220, f"Invalid Currency : {currency}", element="CurrencyRef")
        if currency != self.quirks.home_currency and not self.quirks.multicurrency:
            raise Refusal(6000, "Business Validation Error: Multicurrency is not enabled for this company.")
        if old is not None and currency != old["CurrencyRef"]["value"]:
            raise Refusal(6000, "Business Validation Error: You can't change the currency of this name.")
        full = name
        if "ParentRef" in record:
            parent = self.shelves[entity.name].records.get(record["ParentRef"]["value"])
            if parent is None:
                raise Refusal(2500, f"Invalid Reference Id : Names element id {record['ParentRef']['value']} not found")
            full = f"{parent['FullyQualifiedName']}:{name}"
        elif record.get("Job") is True:
            raise Refusal(2020, "Required parameter ParentRef is missing in the request", element="ParentRef")
        defaults: Record = {"Active": True, "PrintOnCheckName": name[:110], "Balance": Decimal(0)}
        if entity is CUSTOMER:
            defaults |= {
                "Taxable": True, "Job": False, "BillWithParent": False, "BalanceWithJobs": Decimal(0),
                "PreferredDeliveryMethod": "None",
            }  # fmt: skip
        record = defaults | record
        if record["Active"] is False and record["Balance"] != 0:
            detail = "The entity you are trying to delete has an open balance. : This customer cannot be deleted"
            raise Refusal(6000, f"{detail} because it has a non-zero balance", message="Delete List Has Balance Error")
        return record | {
            "DisplayName": name,
            "FullyQualifiedName": full,
            "CurrencyRef": {"value": currency, "name": currency},
        }

    def _save(self, entity: Entity, record: Record, *, seeded_at: float | None = None) -> None:
        if entity.name_space == "names":
            record["DisplayName"] = in_storage(record, self.quirks)
        shelf = self.shelves[entity.name]
        if entity.name == "Invoice":
            self._owe(shelf.records.get(record["Id"]), -1)
            self._owe(record, +1)
        number = record.get("DocNumber", "")
        if number.isascii() and number.isdigit():
            self._last_numbers[entity.name] = max(self._last_numbers.get(entity.name, 0), int(number))
        when = self.now if seeded_at is None else seeded_at
        shelf.put(record, now=when, known_before=seeded_at is not None)
        if entity.name_property is not None:
            self.names.keep(entity, record)

    def next_number(self, entity_name: str) -> int:
        """Return the DocNumber that QuickBooks gives by itself: one more than the highest that is a number."""
        return self._last_numbers.get(entity_name, 1000) + 1

    def touch(self, entity_name: str, record: Record, old: Record) -> Record:
        """Store the next version of a record: a new SyncToken, a new time."""
        times = {"CreateTime": old["MetaData"]["CreateTime"], "LastUpdatedTime": stamp(self.now)}
        record = record | {
            "SyncToken": str(int(old["SyncToken"]) + 1),
            "domain": "QBO",
            "sparse": False,
            "MetaData": times,
        }
        self._save(ENTITIES[entity_name], record)
        return record

    def _owe(self, invoice: Record | None, sign: int) -> None:
        """Count an invoice's balance into, or out of, its customer's. No new SyncToken comes of it."""
        owner = invoice and self.shelves["Customer"].records.get(invoice["CustomerRef"]["value"])
        if invoice and owner:
            total = owner["Balance"] + sign * invoice["Balance"]
            owner |= {"Balance": total, "BalanceWithJobs": total}

    def _delete(self, entity: Entity, old: Record) -> Record:
        self.shelves[entity.name].remove(old["Id"], survivor=None, now=self.now)
        if entity.name == "Invoice":
            self._owe(old, -1)
        return {"status": "Deleted", "domain": "QBO", "Id": old["Id"]}

    # ------------------------------------------------------------ what people do in QuickBooks itself

    def seed(self, entity_name: str, **fields: Any) -> Record:
        """Put a record in as if it had been there for a month. The rules hold for it too (Refusal)."""
        return self._create(ENTITIES[entity_name], fields, at=self.now - _SEED_AGE)

    def change(self, entity_name: str, key: str, **fields: Any) -> Record:
        """Change a record as a bookkeeper does in the browser, with a new SyncToken."""
        entity = ENTITIES[entity_name]
        return self._update(entity, {"sparse": True, **fields}, self.read(entity, key))

    def merge(self, loser: str, winner: str, *, entity_name: str = "Customer") -> None:
        """Merge two records: the loser's Id is dead afterwards, its transactions belong to the winner."""
        shelf = self.shelves[entity_name]
        if loser == winner or winner not in shelf.records:
            raise ValueError(f"cannot merge {loser} into {winner}")
        self.names.release(ENTITIES[entity_name], shelf.records[loser])
        shelf.remove(loser, survivor=winner, now=self.now)
        if entity_name != "Customer":
            return
        for name in ("Invoice", "SalesReceipt"):
            for record in list(self.shelves[name].records.values()):
                if record.get("CustomerRef", {}).get("value") == loser:
                    self._save(ENTITIES[name], record | {"CustomerRef": {"value": winner}})
