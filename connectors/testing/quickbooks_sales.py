"""Invoices, sales receipts, items and accounts of the simulated company: references, numbers, and exact sums."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from connectors.testing.quickbooks_entities import Entity
from connectors.testing.quickbooks_wire import INACTIVE, Record, Refusal, stamp

if TYPE_CHECKING:
    from connectors.testing.quickbooks_company import Company

_MOST_TAXED_LINES = 750
_WHOLE = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
_ZERO = Decimal(0)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's unit. QuickBooks keeps two decimals at most, and rounds without a word."""
    unit = Decimal(1) if currency in _WHOLE else Decimal("0.01")
    return amount.quantize(unit, ROUND_HALF_UP)


def complete(company: "Company", entity: Entity, record: Record, old: Record | None, *, include: str) -> Record:
    """Return a transaction with all that QuickBooks adds. Raises Refusal with the code of the first broken rule."""
    customer = _customer(company, entity, record)
    currency = _currency(company, record, customer)
    _number(company, entity, record, old, include)
    _dates(company, entity, record)
    if record.get("EmailStatus") == "NeedToSend" and not record.get("BillEmail", {}).get("Address"):
        raise Refusal(6420, "Email address required when EmailStatus is NeedToSend", element="BillEmail")
    deposit = record.get("DepositToAccountRef")
    if deposit is not None and deposit["value"] not in company.shelves["Account"].records:
        raise _no_such("Accounts", deposit["value"])
    lines = [line for line in record.get("Line", []) if line.get("DetailType") != "SubTotalLineDetail"]
    if not lines:
        raise Refusal(2020, "Required parameter Line is missing in the request", element="Line")
    for number, line in enumerate(lines, 1):
        _line(company, line, currency)
        line |= {"Id": line.get("Id") or str(number), "LineNum": Decimal(number)}
    totals = _totals(company, record, lines, currency)
    if totals["TotalAmt"] < 0:
        raise Refusal(6000, "Business Validation Error: Transaction amount must be 0 or greater.")
    paid = company.paid.get(old["Id"], _ZERO) if old is not None else _ZERO
    totals["Balance"] = totals["TotalAmt"] - paid if entity.name == "Invoice" else _ZERO
    return {"EmailStatus": "NotSet", "PrintStatus": "NeedToPrint", "ApplyTaxAfterDiscount": False} | record | totals


def _no_such(what: str, key: str) -> Refusal:
    return Refusal(2500, f"Invalid Reference Id : {what} element id {key} not found", element="Reference Id")


def _customer(company: "Company", entity: Entity, record: Record) -> Record | None:
    reference = record.get("CustomerRef")
    if reference is None:
        if entity.name == "Invoice":
            raise Refusal(6560, "CustomerRef is missing in the request", element="CustomerRef")
        return None
    customer = company.shelves["Customer"].records.get(reference["value"])
    if customer is None:
        raise _no_such("Names", reference["value"])
    if customer["Active"] is False:
        raise Refusal(6250, f"Invalid Customer : {INACTIVE}", element="CustomerRef")
    record["CustomerRef"] = {"value": reference["value"], "name": customer["DisplayName"]}
    return customer


def _currency(company: "Company", record: Record, customer: Record | None) -> str:
    quirks = company.quirks
    sent = record.get("CurrencyRef", {}).get("value")
    if quirks.multicurrency and sent is None:
        raise Refusal(2020, "Required parameter CurrencyRef is missing in the request", element="CurrencyRef")
    currency = str(sent or quirks.home_currency)
    if not quirks.multicurrency and currency != quirks.home_currency:
        raise Refusal(6000, "Business Validation Error: Multicurrency is not enabled for this company.")
    if customer is not None and currency != customer["CurrencyRef"]["value"]:
        detail = (
            "Business Validation Error: The currency of the transaction is invalid for customer / vendor / account."
        )
        raise Refusal(6000, detail)
    record["CurrencyRef"] = {"value": currency, "name": currency}
    if quirks.multicurrency:
        record.setdefault("ExchangeRate", Decimal(1))
    return currency


def _number(company: "Company", entity: Entity, record: Record, old: Record | None, include: str) -> None:
    number = record.get("DocNumber")
    if number is None:
        if old is not None and "DocNumber" in old:
            record["DocNumber"] = old["DocNumber"]
        elif not company.quirks.custom_txn_numbers:
            record["DocNumber"] = str(company.next_number(entity.name))
        return
    if not company.quirks.warn_duplicate_docnum or "allowduplicatedocnum" in include.split(","):
        return
    for key, other in company.shelves[entity.name].records.items():
        if (old is None or key != old["Id"]) and other.get("DocNumber", "").casefold() == number.casefold():
            raise Refusal(
                6140,
                "Duplicate Document Number Error : You must specify a different number. This number has already been "
                f"used. DocNumber={number} is assigned to TxnType={entity.name} with TxnId={key}",
            )


def _dates(company: "Company", entity: Entity, record: Record) -> None:
    record.setdefault("TxnDate", stamp(company.now)[:10])
    if entity.name == "Invoice":
        record.setdefault("DueDate", record["TxnDate"])
    closed = company.quirks.closed_until
    if closed is not None and date.fromisoformat(record["TxnDate"]) <= closed:
        raise Refusal(6210, "The accounting period has closed and the account books cannot be updated.")


def _line(company: "Company", line: Record, currency: str) -> None:
    kind = line.get("DetailType")
    if kind is None:
        raise Refusal(2020, "Required parameter Line.DetailType is missing in the request", element="Line.DetailType")
    if kind == "DescriptionOnly":
        line.pop("Amount", None)
        return
    if kind == "DiscountLineDetail" and not company.quirks.allow_discount:
        raise Refusal(6000, "Business Validation Error: Discounts are turned off for this company.")
    if kind == "DiscountLineDetail" and line.get(kind, {}).get("PercentBased"):
        if "DiscountPercent" not in line[kind]:
            raise Refusal(6090, "Discount amount or percent should be provided.", element="DiscountPercent")
        return
    if "Amount" not in line:
        raise Refusal(2020, "Required parameter Line.Amount is missing in the request", element="Line.Amount")
    line["Amount"] = rounded(line["Amount"], currency)
    if kind == "SalesItemLineDetail":
        _sales_line(company, line, line.get(kind, {}), currency)


def _sales_line(company: "Company", line: Record, detail: Record, currency: str) -> None:
    if "ItemRef" not in detail:
        raise Refusal(2020, "Required parameter ItemRef is missing in the request", element="ItemRef")
    item = company.shelves["Item"].records.get(detail["ItemRef"]["value"])
    if item is None:
        raise _no_such("Items", detail["ItemRef"]["value"])
    if item["Active"] is False or item["Type"] == "Category":
        raise Refusal(2500, f"Invalid Reference Id : {INACTIVE}", element="Reference Id")
    detail["ItemRef"] = {"value": item["Id"], "name": item["Name"]}
    if "Qty" in detail and "UnitPrice" in detail:
        product = rounded(detail["Qty"] * detail["UnitPrice"], currency)
        if product != line["Amount"]:
            detail_text = f"Amount is not equal to UnitPrice * Qty. Supplied value:{line['Amount']:,}"
            raise Refusal(6070, detail_text, element="Line.Amount")
    code = detail.get("TaxCodeRef", {}).get("value")
    if company.quirks.country == "US":
        if code not in {None, "TAX", "NON"}:
            raise Refusal(6100, f"Valid Line TaxCodes for US should be TAX or NON. Supplied value:{code}")
        detail["TaxCodeRef"] = {"value": code or "NON"}
    elif code not in company.quirks.tax_codes:
        raise Refusal(6000, "Business Validation Error: Make sure all your transactions have a VAT rate.")


def _totals(company: "Company", record: Record, lines: list[Record], currency: str) -> Record:
    sales = [line for line in lines if line["DetailType"] == "SalesItemLineDetail"]
    subtotal = sum((line["Amount"] for line in sales), _ZERO)
    discount = _ZERO
    for line in lines:
        detail = line.get("DiscountLineDetail", {})
        if line["DetailType"] == "DiscountLineDetail":
            if detail.get("PercentBased"):
                line["Amount"] = rounded(subtotal * detail["DiscountPercent"] / 100, currency)
            discount += line["Amount"]
    if discount > subtotal:
        raise Refusal(6000, "Business Validation Error: The discount amount can't be greater than the subtotal.")
    if len([line for line in lines if line["DetailType"] == "DiscountLineDetail"]) > 1:
        raise Refusal(6000, "Business Validation Error: Only one discount line is allowed.")
    before = company.quirks.country == "US" and not record.get("ApplyTaxAfterDiscount")
    share = (subtotal - discount) / subtotal if subtotal and not before else Decimal(1)
    tax, included = _tax(company, record, sales, share, currency)
    lines.append({"Amount": rounded(subtotal, currency), "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    total = rounded(subtotal - discount + tax, currency)
    detail = record.get("TxnTaxDetail", {}) | {"TotalTax": tax}
    extra = {"GlobalTaxCalculation": included} if included else {}
    return extra | {"Line": lines, "TotalAmt": total, "TxnTaxDetail": detail}


def _tax(
    company: "Company", record: Record, sales: list[Record], share: Decimal, currency: str
) -> tuple[Decimal, str | None]:
    """Return the tax, and how it was calculated where the company is outside the US."""
    quirks = company.quirks
    sent = rounded(record.get("TxnTaxDetail", {}).get("TotalTax", _ZERO), currency)
    codes = [line["SalesItemLineDetail"]["TaxCodeRef"]["value"] for line in sales]
    if quirks.country == "US":
        taxed = [line["Amount"] for line, code in zip(sales, codes, strict=True) if code == "TAX"]
        if len(taxed) > _MOST_TAXED_LINES:
            raise Refusal(6000, f"Business Validation Error: more than {_MOST_TAXED_LINES} taxable lines.")
        if quirks.sales_tax_rate is None:
            return sent, None
        return rounded(sum(taxed, _ZERO) * share * quirks.sales_tax_rate, currency), None
    mode = record.get("GlobalTaxCalculation", "TaxExcluded")
    tax = _ZERO
    if mode != "NotApplicable":
        for line, code in zip(sales, codes, strict=True):
            inclusive = line["SalesItemLineDetail"].get("TaxInclusiveAmt") if mode == "TaxInclusive" else None
            part = line["Amount"] * share * quirks.tax_codes[code]
            tax += inclusive - line["Amount"] if inclusive is not None else part
    return rounded(tax, currency), mode


def voided(old: Record) -> Record:
    """Return an invoice after `operation=void`: it stays, and is worth nothing."""
    lines = []
    for line in old["Line"]:
        nothing = line | ({"Amount": _ZERO} if "Amount" in line else {})
        if line["DetailType"] == "SalesItemLineDetail":
            nothing["SalesItemLineDetail"] = line["SalesItemLineDetail"] | {"Qty": _ZERO, "UnitPrice": _ZERO}
        lines.append(nothing)
    sums = {"TotalAmt": _ZERO, "Balance": _ZERO, "TxnTaxDetail": {"TotalTax": _ZERO}}
    return old | {"Line": lines, "PrivateNote": "Voided"} | sums


def pay(company: "Company", invoice: Record, amount: Decimal | None) -> Record:
    """Take a payment for an invoice, all that is open where no amount is given, and return the Payment."""
    amount = invoice["Balance"] if amount is None else amount
    company.paid[invoice["Id"]] = company.paid.get(invoice["Id"], _ZERO) + amount
    company.touch("Invoice", invoice | {"Balance": invoice["Balance"] - amount}, invoice)
    link = {"TxnId": invoice["Id"], "TxnType": "Invoice"}
    return company.store(
        "Payment",
        {
            "CustomerRef": invoice["CustomerRef"], "TotalAmt": amount, "TxnDate": stamp(company.now)[:10],
            "CurrencyRef": invoice["CurrencyRef"], "Line": [{"Amount": amount, "LinkedTxn": [link]}],
        },
    )  # fmt: skip


def check_list_entry(company: "Company", entity: Entity, record: Record) -> None:
    """Check an item or an account. Raises Refusal."""
    needed = ["Name", "Type"] if entity.name == "Item" else ["Name", "AccountType"]
    if entity.name == "Item" and record.get("Type") != "Category":
        needed.append("IncomeAccountRef")
    for name in needed:
        if not record.get(name):
            raise Refusal(2020, f"Required parameter {name} is missing in the request", element=name)
    if entity.name == "Account" or record.get("Type") == "Category":
        return
    key = record["IncomeAccountRef"]["value"]
    account = company.shelves["Account"].records.get(key)
    if account is None:
        raise _no_such("Accounts", key)
    if account["AccountType"] not in {"Income", "Other Income"}:
        raise Refusal(6000, "Business Validation Error: You need to select a different type of account for this item.")
    record["IncomeAccountRef"] = {"value": key, "name": account["Name"]}


def full_name(company: "Company", entity: Entity, record: Record) -> str:
    """Return `Parent:Child` for an item below another, else the name. Raises Refusal."""
    parent = record.get("ParentRef")
    if parent is None:
        return str(record["Name"])
    above = company.shelves[entity.name].records.get(parent["value"])
    if above is None:
        raise _no_such("Items", parent["value"])
    return f"{above['FullyQualifiedName']}:{record['Name']}"


def with_link(company: "Company", invoice: Record, include: str) -> Record:
    """Return an invoice with InvoiceLink, where it was asked for, Payments is on, and there is an address to bill."""
    wanted = "invoicelink" in include.lower().split(",")
    if not (wanted and company.quirks.payments_enabled and invoice.get("BillEmail", {}).get("Address")):
        return invoice
    return invoice | {"InvoiceLink": f"{company.quirks.invoice_links}/{company.realm_id}/{invoice['Id']}"}


def send(company: "Company", invoice: Record, address: str | None) -> Record:
    """Mail an invoice to `address`, or else to its BillEmail. Raises Refusal 6420 where there is neither."""
    to = address or invoice.get("BillEmail", {}).get("Address")
    if not to:
        raise Refusal(6420, "Email address required to send the invoice", element="BillEmail")
    if "@" not in to:
        raise Refusal(2210, "Email Address does not conform to the syntax rules of RFC 822.", element="sendTo")
    company.emails.append((invoice["Id"], to))
    sent = {
        "EmailStatus": "EmailSent", "BillEmail": {"Address": to},
        "DeliveryInfo": {"DeliveryType": "Email", "DeliveryTime": stamp(company.now)},
    }  # fmt: skip
    return company.touch("Invoice", invoice | sent, invoice)
