"""The entities of the simulated QuickBooks: each property's type, length, forbidden characters, and use in queries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

NAME_BANNED = ":\t\n"
"""Forbidden in names, since FullyQualifiedName reads `Parent:Child`."""


class Kind(StrEnum):
    """What a property holds."""

    TEXT = "text"
    ID = "id"
    EMAIL = "email"
    BOOLEAN = "boolean"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    REFERENCE = "reference"
    OBJECT = "object"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property of an entity."""

    kind: Kind = Kind.TEXT
    longest: int | None = None
    banned: str = ""
    one_of: frozenset[str] = frozenset()
    parts: Mapping[str, "Property"] = field(default_factory=dict)
    """Of an object or of each item of a list; an object without parts takes anything."""
    query: bool = False
    """May stand in WHERE and ORDERBY."""
    read_only: bool = False
    """Ignored without a word when sent."""

    @property
    def selectable(self) -> bool:
        """Whether a SELECT list may name it. Compound properties come with `*` only: naming one is a 4001."""
        return self.query and self.kind not in {Kind.EMAIL, Kind.REFERENCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One entity type: what `/v3/company/{realm}/{path}` and `SELECT … FROM {name}` know."""

    name: str
    properties: Mapping[str, Property]
    name_property: str | None = None
    name_space: str | None = None
    """Records of one name space share one set of unique names, whatever their type."""
    writable: bool = True
    transaction: bool = False
    """A transaction can be voided and deleted; a list entry can only be made inactive."""

    @property
    def path(self) -> str:
        """The resource in the URL, which is case-sensitive."""
        return self.name.lower()

    @property
    def has_active(self) -> bool:
        """Whether queries hide inactive records unless asked."""
        return "Active" in self.properties

    def find(self, name: str) -> tuple[str, Property] | None:
        """Return a queryable property by its name in any case, dotted where nested, with its true spelling."""
        path, properties = [], self.properties
        found: Property | None = None
        for part in name.split("."):
            match = next((key for key in properties if key.casefold() == part.casefold()), None)
            if match is None:
                return None
            path.append(match)
            found, properties = properties[match], properties[match].parts
        return (".".join(path), found) if found is not None and found.query else None


def text(longest: int, *, query: bool = False, banned: str = "") -> Property:
    """A writable string."""
    return Property(longest=longest, query=query, banned=banned)


def choice(*values: str, query: bool = False) -> Property:
    """A string of a closed set."""
    return Property(one_of=frozenset(values), query=query)


def obj(**parts: Property) -> Property:
    """A nested object."""
    return Property(kind=Kind.OBJECT, parts=parts)


FLAG = Property(kind=Kind.BOOLEAN)
NUMBER = Property(kind=Kind.NUMBER)
DAY = Property(kind=Kind.DATE)
ANY = Property(kind=Kind.OBJECT)
REFERENCE = Property(kind=Kind.REFERENCE)
EMAIL = Property(kind=Kind.EMAIL, longest=100, parts={"Address": text(100)})
PHONE = obj(FreeFormNumber=text(30))
ADDRESS = obj(
    Id=Property(read_only=True), Lat=text(50), Long=text(50),
    **{f"Line{number}": text(500) for number in range(1, 6)},
    City=text(255), CountrySubDivisionCode=text(255), PostalCode=text(30), Country=text(255),
)  # fmt: skip


def _read_only(kind: Kind = Kind.TEXT, *, query: bool = False) -> Property:
    return Property(kind=kind, query=query, read_only=True)


_TIME = _read_only(Kind.TIME, query=True)
COMMON: dict[str, Property] = {
    "Id": _read_only(Kind.ID, query=True), "SyncToken": _read_only(), "domain": _read_only(), "sparse": _read_only(),
    "status": _read_only(),
    "MetaData": Property(
        kind=Kind.OBJECT, read_only=True, parts={"CreateTime": _TIME, "LastUpdatedTime": _TIME}
    ),
}  # fmt: skip
ACTIVE = Property(kind=Kind.BOOLEAN, query=True)
_NAME = text(100, query=True, banned=NAME_BANNED)
_TITLE = text(16, banned=NAME_BANNED)
_QUERIED_EMAIL = Property(kind=Kind.EMAIL, longest=100, parts={"Address": text(100)}, query=True)
PERSON: dict[str, Property] = COMMON | {
    "DisplayName": text(500, query=True, banned=NAME_BANNED), "Title": _TITLE, "GivenName": _NAME, "MiddleName": _NAME,
    "FamilyName": _NAME, "Suffix": _TITLE, "PrintOnCheckName": text(110, query=True, banned=NAME_BANNED),
    "PrimaryEmailAddr": _QUERIED_EMAIL, "PrimaryPhone": PHONE, "Mobile": PHONE, "AlternatePhone": PHONE, "Fax": PHONE,
    "WebAddr": obj(URI=text(1000)), "BillAddr": ADDRESS, "Active": ACTIVE, "CurrencyRef": REFERENCE,
    "FullyQualifiedName": _read_only(query=True), "Balance": _read_only(Kind.NUMBER, query=True),
    "V4IDPseudonym": _read_only(),
}  # fmt: skip

CUSTOMER = Entity(
    name="Customer", name_property="DisplayName", name_space="names",
    properties=PERSON | {
        "CompanyName": text(100, query=True), "ShipAddr": ADDRESS, "Notes": text(2000), "ResaleNum": text(16),
        "Job": FLAG, "ParentRef": REFERENCE, "BillWithParent": FLAG, "IsProject": _read_only(Kind.BOOLEAN),
        "Taxable": FLAG, "BalanceWithJobs": _read_only(Kind.NUMBER), "PrimaryTaxIdentifier": text(20),
        "TaxExemptionReasonId": text(20), "DefaultTaxCodeRef": REFERENCE, "SalesTermRef": REFERENCE,
        "PaymentMethodRef": REFERENCE, "PreferredDeliveryMethod": choice("Print", "Email", "None"),
        "Level": _read_only(Kind.NUMBER),
    },
)  # fmt: skip
VENDOR = Entity(
    name="Vendor", name_property="DisplayName", name_space="names",
    properties=PERSON | {
        "CompanyName": text(100, query=True), "AcctNum": text(100), "TaxIdentifier": text(20), "Vendor1099": FLAG,
        "TermRef": REFERENCE, "BillRate": NUMBER,
    },
)  # fmt: skip
EMPLOYEE = Entity(
    name="Employee",
    name_property="DisplayName",
    name_space="names",
    properties=PERSON | {"PrimaryAddr": ADDRESS, "EmployeeNumber": text(100), "HiredDate": DAY, "BillableTime": FLAG},
)
ITEM = Entity(
    name="Item", name_property="Name", name_space="items",
    properties=COMMON | {
        "Name": text(100, query=True, banned=NAME_BANNED), "Sku": text(100, query=True), "Description": text(4000),
        "Active": ACTIVE, "Type": choice("Service", "NonInventory", "Category", query=True), "UnitPrice": Property(
            kind=Kind.NUMBER, query=True), "IncomeAccountRef": REFERENCE, "Taxable": FLAG, "TrackQtyOnHand": FLAG,
        "SalesTaxCodeRef": REFERENCE, "ExpenseAccountRef": REFERENCE, "FullyQualifiedName": _read_only(query=True),
        "SubItem": FLAG, "ParentRef": REFERENCE,
    },
)  # fmt: skip
ACCOUNT = Entity(
    name="Account", name_property="Name", name_space="accounts",
    properties=COMMON | {
        "Name": text(100, query=True, banned=NAME_BANNED), "AcctNum": text(20), "Description": text(100),
        "Active": ACTIVE, "AccountType": choice(
            "Income", "Other Income", "Bank", "Other Current Asset", "Accounts Receivable", "Expense", "Equity",
            "Other Current Liability", query=True),
        "AccountSubType": text(100, query=True), "Classification": _read_only(query=True), "CurrencyRef": REFERENCE,
        "CurrentBalance": _read_only(Kind.NUMBER, query=True), "FullyQualifiedName": _read_only(query=True),
    },
)  # fmt: skip

_LINES = Property(
    kind=Kind.LIST,
    parts={
        "Id": text(20), "LineNum": NUMBER, "Description": text(4000), "Amount": NUMBER, "LinkedTxn": ANY,
        "DetailType": choice("SalesItemLineDetail", "DescriptionOnly", "DiscountLineDetail", "SubTotalLineDetail"),
        "SalesItemLineDetail": obj(
            ItemRef=REFERENCE, Qty=NUMBER, UnitPrice=NUMBER, TaxCodeRef=REFERENCE, ServiceDate=DAY,
            TaxInclusiveAmt=NUMBER, ClassRef=REFERENCE, ItemAccountRef=REFERENCE,
        ),
        "DiscountLineDetail": obj(
            PercentBased=FLAG, DiscountPercent=NUMBER, DiscountAccountRef=REFERENCE, TaxCodeRef=REFERENCE
        ),
        "DescriptionLineDetail": obj(ServiceDate=DAY, TaxCodeRef=REFERENCE),
        "SubTotalLineDetail": ANY,
    },
)  # fmt: skip
SALE: dict[str, Property] = COMMON | {
    "CustomerRef": Property(kind=Kind.REFERENCE, query=True), "DocNumber": text(21, query=True),
    "TxnDate": Property(kind=Kind.DATE, query=True), "PrivateNote": text(4000), "CustomerMemo": obj(value=text(1000)),
    "BillEmail": EMAIL, "BillEmailCc": EMAIL, "BillEmailBcc": EMAIL, "BillAddr": ADDRESS, "ShipAddr": ADDRESS,
    "CurrencyRef": REFERENCE, "ExchangeRate": NUMBER, "Line": _LINES, "ApplyTaxAfterDiscount": FLAG,
    "TxnTaxDetail": obj(TotalTax=NUMBER, TxnTaxCodeRef=REFERENCE, TaxLine=Property(kind=Kind.LIST)),
    "GlobalTaxCalculation": choice("TaxExcluded", "TaxInclusive", "NotApplicable"), "ClassRef": REFERENCE,
    "DepartmentRef": REFERENCE, "ShipDate": DAY, "TrackingNum": text(31), "CustomField": Property(kind=Kind.LIST),
    "PrintStatus": choice("NotSet", "NeedToPrint", "PrintComplete"),
    "EmailStatus": choice("NotSet", "NeedToSend", "EmailSent"), "DeliveryInfo": _read_only(Kind.OBJECT),
    "TotalAmt": _read_only(Kind.NUMBER, query=True), "HomeTotalAmt": _read_only(Kind.NUMBER),
    "Balance": _read_only(Kind.NUMBER, query=True), "LinkedTxn": Property(kind=Kind.LIST),
}  # fmt: skip
INVOICE = Entity(
    name="Invoice", transaction=True,
    properties=SALE | {
        "DueDate": Property(kind=Kind.DATE, query=True), "SalesTermRef": REFERENCE, "Deposit": NUMBER,
        "AllowOnlineCreditCardPayment": FLAG, "AllowOnlineACHPayment": FLAG, "AllowOnlinePayment": FLAG,
        "AllowIPNPayment": FLAG, "InvoiceLink": _read_only(),
    },
)  # fmt: skip
SALES_RECEIPT = Entity(
    name="SalesReceipt", transaction=True,
    properties=SALE | {
        "DepositToAccountRef": REFERENCE, "PaymentMethodRef": REFERENCE, "PaymentRefNum": text(21),
    },
)  # fmt: skip
PAYMENT = Entity(
    name="Payment", writable=False, transaction=True,
    properties=COMMON | {
        "CustomerRef": Property(kind=Kind.REFERENCE, query=True), "TxnDate": Property(kind=Kind.DATE, query=True),
        "TotalAmt": _read_only(Kind.NUMBER, query=True), "CurrencyRef": REFERENCE, "Line": Property(kind=Kind.LIST),
    },
)  # fmt: skip
TAX_CODE = Entity(name="TaxCode", writable=False, properties=COMMON | {"Name": text(100, query=True), "Active": ACTIVE})
COMPANY_INFO = Entity(
    name="CompanyInfo", writable=False, properties=COMMON | {"CompanyName": text(1024), "Country": text(255)}
)
PREFERENCES = Entity(name="Preferences", writable=False, properties=COMMON)

ENTITIES: Mapping[str, Entity] = MappingProxyType(
    {
        entity.name: entity
        for entity in (
            CUSTOMER, VENDOR, EMPLOYEE, ITEM, ACCOUNT, INVOICE, SALES_RECEIPT, PAYMENT, TAX_CODE, COMPANY_INFO,
            PREFERENCES,
        )
    }
)  # fmt: skip
BY_PATH: Mapping[str, Entity] = MappingProxyType({entity.path: entity for entity in ENTITIES.values()})


def entity_named(name: str) -> Entity | None:
    """Return the entity of that name in any case, as the query language takes it."""
    return BY_PATH.get(name.lower())
