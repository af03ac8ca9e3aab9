"""The simulated QuickBooks' invoice links, e-mails, tax, items, and sales receipts."""

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from tests.contract.quickbooks_client import Client, bill, exact_json, line
from tests.contract.simulated import Clock

D = Decimal


@pytest.fixture
async def sim() -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as running:
        running.quirks.clock = Clock()
        yield running


@pytest.fixture
async def client(sim: QuickBooksSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(json_serialize=exact_json) as session:
        yield Client(sim, session)


@pytest.fixture
def ada(sim: QuickBooksSimulator) -> str:
    """Return the Id of a customer."""
    return str(sim.seed_customer(DisplayName="Ada Lovelace", email="ada@example.com")["Id"])


async def test_an_invoice_link_needs_payments_an_address_and_the_asking(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    mailed = (await client.post("invoice", bill(ada, BillEmail={"Address": "ada@example.com"}))).one("Invoice")
    bare = (await client.post("invoice", bill(ada))).one("Invoice")

    async def link(key: str, **params: str) -> str | None:
        return (await client.get(f"invoice/{key}", **params)).one("Invoice").get("InvoiceLink")

    assert await link(mailed["Id"], include="invoiceLink") is None
    sim.quirks.payments_enabled = True
    assert await link(mailed["Id"]) is None
    assert await link(bare["Id"], include="invoiceLink") is None
    url = await link(mailed["Id"], include="invoiceLink")
    assert url == f"https://pay.example/portal/{sim.realm_id}/{mailed['Id']}"


async def test_sending_mails_the_invoice_once_per_request_id(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    made = (await client.post("invoice", bill(ada))).one("Invoice")
    path, octets = f"invoice/{made['Id']}/send", {"Content-Type": "application/octet-stream"}
    assert (await client.call("POST", path, headers=octets)).code == 6420
    assert (await client.call("POST", path, headers=octets, params={"sendTo": "nowhere"})).code == 2210
    assert (await client.call("POST", path, json={}, params={"sendTo": "a@b.example"})).code == 1050
    for _ in range(2):
        once = {"sendTo": "ada@example.com", "requestid": "s-1"}
        sent = await client.call("POST", path, headers=octets, params=once)
        assert sent.one("Invoice")["EmailStatus"] == "EmailSent"
    assert sim.company.emails == [(made["Id"], "ada@example.com")]
    await client.call("POST", path, headers=octets)
    assert sim.company.emails[1:] == [(made["Id"], "ada@example.com")]
    assert (await client.call("POST", "invoice/1/send", headers=octets)).code == 610


# ---------------------------------------------------------------- tax


async def test_automated_sales_tax_overrules_the_callers_total(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    sim.quirks.sales_tax_rate = D("0.0825")
    body = bill(ada, line("100", tax="TAX"), line("50", tax="NON"), TxnTaxDetail={"TotalTax": 1})
    made = (await client.post("invoice", body)).one("Invoice")
    assert (made["TxnTaxDetail"]["TotalTax"], made["TotalAmt"]) == (D("8.25"), D("158.25"))


async def test_outside_the_us_every_line_names_a_tax_code_of_the_company(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    sim.quirks.country = "GB"
    refused = await client.post("invoice", bill(ada))
    assert (refused.code, "VAT rate" in refused.error[1]) == (6000, True)
    assert (await client.post("invoice", bill(ada, line("100", tax="TAX")))).code == 6000
    lines = [line("100", tax="10"), line("50", tax="11")]
    plain = (await client.post("invoice", bill(ada, *lines))).one("Invoice")
    assert (plain["TotalAmt"], plain["GlobalTaxCalculation"]) == (D("170.00"), "TaxExcluded")
    free = (await client.post("invoice", bill(ada, *lines, GlobalTaxCalculation="NotApplicable"))).one("Invoice")
    assert free["TotalAmt"] == 150
    inclusive = [line("100", tax="10", TaxInclusiveAmt=120)]
    made = (await client.post("invoice", bill(ada, *inclusive, GlobalTaxCalculation="TaxInclusive"))).one("Invoice")
    assert (made["TotalAmt"], made["TxnTaxDetail"]["TotalTax"]) == (120, 20)
    codes = (await client.query("select * from TaxCode")).one("QueryResponse")["TaxCode"]
    assert {code["Id"] for code in codes} == {"10", "11"}


# ---------------------------------------------------------------- items, accounts, receipts


async def test_an_item_needs_an_income_account_and_a_name_of_its_own(sim: QuickBooksSimulator, client: Client) -> None:
    found = (await client.query("select * from Account where AccountType = 'Income' and Active = true")).one(
        "QueryResponse"
    )
    (income,) = found["Account"]
    body = {"Name": "Plan A", "Type": "Service", "IncomeAccountRef": {"value": income["Id"]}}
    made = (await client.post("item", body)).one("Item")
    assert made["IncomeAccountRef"] == {"value": income["Id"], "name": "Services"}
    assert await client.names("select * from Item where Name = 'plan a'", entity="Item") == ["Plan A"]
    duplicate = await client.post("item", body | {"Name": "PLAN A"})
    assert duplicate.error == ("6240", f"The name supplied already exists. : Id={made['Id']}")
    assert sim.items[made["Id"]]["Active"] is True
    (funds,) = (await client.query("select * from Account where Name = 'Undeposited Funds'")).one("QueryResponse")[
        "Account"
    ]
    for change, code in (
        ({"Name": "a:b"}, 2040), ({"Name": "x" * 101}, 2050), ({"Type": "Gadget"}, 2170),
        ({"IncomeAccountRef": {"value": "79"}}, 2500), ({"IncomeAccountRef": {"value": funds["Id"]}}, 6000),
    ):  # fmt: skip
        assert (await client.post("item", body | {"Name": "Plan B"} | change)).code == code
    for missing in body:
        assert (await client.post("item", {k: v for k, v in body.items() if k != missing})).code == 2020


async def test_an_item_may_have_the_name_of_a_customer(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    assert sim.seed_item("Ada Lovelace")["Name"] == sim.customers[ada]["DisplayName"]


async def test_a_sales_receipt_is_paid_at_once(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    funds = (await client.query("select Id from Account where Name = 'Undeposited Funds'")).one("QueryResponse")
    body = bill(ada, line("25.00"), DepositToAccountRef={"value": funds["Account"][0]["Id"]}, PaymentRefNum="ch_1")
    made = (await client.post("salesreceipt", body, requestid="g-1")).one("SalesReceipt")
    assert (made["TotalAmt"], made["Balance"], made["PaymentRefNum"]) == (25, 0, "ch_1")
    assert set(sim.sales_receipts) == {made["Id"]}
    assert "DueDate" not in made
    assert (await client.post("salesreceipt", body | {"DepositToAccountRef": {"value": "79"}})).code == 2500
    assert (await client.post("salesreceipt", body | {"PaymentRefNum": "x" * 22})).code == 2050
    nobody = {key: value for key, value in body.items() if key != "CustomerRef"}
    assert (await client.post("salesreceipt", nobody)).status == 200
    found = await client.query("select * from SalesReceipt where PaymentRefNum = 'ch_1'")
    assert found.code == 4001
    found = await client.query("select * from SalesReceipt where TotalAmt = '25.00' orderby CustomerRef desc")
    first, second = found.one("QueryResponse")["SalesReceipt"]
    assert (first["Id"], "CustomerRef" in second) == (made["Id"], False)
