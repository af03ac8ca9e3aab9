"""What a connector may raise about invoices alone. As in errors.py, the class is the policy.

ConnectorError
├── StaleItemError              item_stale                retry at once, nothing was done
├── CustomerReturnedError       customer_returned         retry at once, nothing was done
├── DuplicateRefusedError
│   └── NumberTakenError        number_taken              look again, then ask a person
└── RejectedError
    ├── ItemMissingError        item_missing              fail the job
    ├── CurrencyRefusedError    currency_refused          fail the job
    ├── TaxCodeMissingError     tax_code_missing          fail the job
    └── InvoicePaidError        invoice_paid              fail the job
"""

from connectors.errors import ConnectorError, DuplicateRefusedError, RejectedError


class StaleItemError(ConnectorError):
    """An item or account that was known is gone; it was forgotten, and is looked up anew by the next attempt."""

    code = "item_stale"
    title = "Item gone"
    cause = "The provider refused an invoice, since an item or account that it names was deleted or made inactive."
    resolution = "Nothing: the item is looked up again. If it stays, correct the settings that name it, and retry."
    may_have_written = False
    at_once = True


class CustomerReturnedError(ConnectorError):
    """The provider refused an invoice for its customer, which by now is as it should be."""

    code = "customer_returned"
    title = "Customer was inactive for a moment"
    cause = "The provider refused an invoice since its customer was inactive, and has the customer active again by now."
    resolution = "Nothing: the invoice is tried again at once. If it stays, look at the customer at the provider."
    may_have_written = False
    at_once = True


class NumberTakenError(DuplicateRefusedError):
    """The provider has a document with this number, and wants none twice."""

    code = "number_taken"
    title = "Document number taken"
    cause = "The provider has another document with this invoice's number, and is set to refuse a number twice."
    resolution = (
        "Look at the other document: adopt it if it is this invoice; else give it another number there, and decide"
        " create."
    )


class ItemMissingError(RejectedError):
    """There is no item to book a line with, or no account for a new item."""

    code = "item_missing"
    title = "Item missing"
    cause = "The provider has no active item with which a line can be booked, or no account that a new item needs."
    resolution = (
        "Create the item there, or name one that exists in the connection's settings (`fallback_item`, `items`),"
        " then retry the job."
    )


class CurrencyRefusedError(RejectedError):
    """The invoice's currency is not the one in which this customer, or this company, can be billed."""

    code = "currency_refused"
    title = "Currency refused"
    cause = "The invoice is in another currency than its customer has at the provider, or than the company keeps."
    resolution = (
        "Switch on several currencies in the company, or link the billing customer to a customer in the invoice's"
        " currency, then retry the job."
    )


class TaxCodeMissingError(RejectedError):
    """The company wants a tax code on every line, and the settings name none."""

    code = "tax_code_missing"
    title = "Tax code missing"
    cause = "The company keeps sales tax or VAT, and the connection's settings do not say which tax code lines have."
    resolution = "Set `tax_code` and `untaxed_code` of the connection to names of the company's tax codes, then retry."


class InvoicePaidError(RejectedError):
    """An invoice that was paid, wholly or in part, is not voided."""

    code = "invoice_paid"
    title = "Invoice already paid"
    cause = "The invoice is to be voided, and a payment was taken for it at the provider."
    resolution = "Undo the payment, or write a credit note or refund at the provider; then retry the job, or cancel it."
