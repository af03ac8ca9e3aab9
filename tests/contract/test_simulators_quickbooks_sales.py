"""The simulated QuickBooks' invoices, sales receipts, items and accounts: references, numbers, and sums to the cent."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.testing.quickbooks import QuickBooksSimulator
from tests.contract.quickbooks_client import SERVICES, Client, bill, exact_json, line
from tests.contract.simulated import Clock

D = Decimal
CENT = D("0.01")


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


async def test_an_invoice_is_answered_whole_with_number_dates_and_an_exact_total(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    made = (
        await client.post(
            "invoice",
            bill(ada, line("33.33", Qty=3, UnitPrice=D("11.11")), line("0.07"), PrivateNote="[gw:billing:inv_9]"),
        )
    ).one("Invoice")
    assert (made["TotalAmt"], made["Balance"]) == (D("33.40"), D("33.40"))
    assert (made["CustomerRef"]["name"], made["DocNumber"]) == ("Ada Lovelace", "1001")
    assert (made["TxnDate"], made["DueDate"]) == ("2026-11-20", "2026-11-20")
    assert [row["DetailType"] for row in made["Line"]][-1] == "SubTotalLineDetail"
    assert made["Line"][-1]["Amount"] == D("33.40")
    assert made["Line"][0]["SalesItemLineDetail"]["ItemRef"] == {"value": SERVICES, "name": "Services"}
    assert (await client.get(f"invoice/{made['Id']}")).one("Invoice") == made
    assert set(sim.invoices) == {made["Id"]}
    assert sim.customers[ada]["Balance"] == D("33.40")


@pytest.mark.parametrize(
    "change, code",
    [
        ({"CustomerRef": None}, 6560),
        ({"CustomerRef": {"value": "4711"}}, 2500),
        ({"Line": []}, 2020),
        ({"Line": [{"Amount": 5}]}, 2020),
        (
            {"Line": [{"DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": SERVICES}}}]},
            2020,
        ),
        ({"Line": [{"Amount": 5, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {}}]}, 2020),
        ({"Line": [line("5", item="4711")]}, 2500),
        ({"Line": [line("5.00", Qty=2, UnitPrice=3)]}, 6070),
        ({"Line": [line("5", tax="7")]}, 6100),
        ({"Line": [line("5") | {"DetailType": "Mystery"}]}, 2170),
        ({"Line": [line("5") | {"Colour": "red"}]}, 2010),
        ({"Line": [line("-5")]}, 6000),
        ({"Line": [{"DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": True}}]}, 6090),
        ({"DocNumber": "x" * 22}, 2050),
        ({"PrivateNote": "x" * 4001}, 2050),
        ({"TxnDate": "20 Nov 2026"}, 2010),
        ({"DueDate": "2026-02-30"}, 2010),
        ({"EmailStatus": "NeedToSend"}, 6420),
        ({"BillEmail": {"Address": "nowhere"}}, 2210),
        ({"CurrencyRef": {"value": "EUR"}}, 6000),
        ({"ExternalId": "inv_9"}, 2010),
    ],
)
async def test_a_broken_rule_is_refused_with_its_code_and_bills_nobody(
    sim: QuickBooksSimulator, client: Client, ada: str, change: dict[str, Any], code: int
) -> None:
    sim.quirks.allow_discount = True
    body = bill(ada) | change
    reply = await client.post("invoice", {key: value for key, value in body.items() if value is not None})
    assert (reply.status, reply.code) == (400, code)
    assert not sim.invoices


async def test_an_inactive_customer_or_item_cannot_be_billed(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    item = sim.seed_item("Plan A")["Id"]
    sim.deactivate(item, entity="Item")
    assert (await client.post("invoice", bill(ada, line("5", item=item)))).code == 2500
    sim.deactivate(ada)
    assert (await client.post("invoice", bill(ada))).code == 6250


async def test_amount_is_quantity_times_price_rounded_half_up(client: Client, ada: str) -> None:
    weighed: dict[str, Any] = {"Qty": D("128.350"), "UnitPrice": D("14.50")}  # 1861.075
    reply = await client.post("invoice", bill(ada, line("1861.07", **weighed)))
    assert reply.error == ("6070", "Amount is not equal to UnitPrice * Qty. Supplied value:1,861.07")
    good = (await client.post("invoice", bill(ada, line("1861.08", **weighed)))).one("Invoice")
    assert good["TotalAmt"] == D("1861.08")


async def test_fractions_of_a_cent_are_rounded_away_without_a_word(client: Client, ada: str) -> None:
    made = (await client.post("invoice", bill(ada, line("10.005"), line("10.004")))).one("Invoice")
    assert [row["Amount"] for row in made["Line"]] == [D("10.01"), D("10.00"), D("20.01")]
    assert made["TotalAmt"] == D("20.01")


CENTS = st.integers(0, 10**9).map(lambda cents: D(cents) * CENT)


@given(amounts=st.lists(CENTS, min_size=1, max_size=20), percent=st.integers(0, 100), tax=CENTS)
def test_a_total_is_the_exact_sum_of_lines_discount_and_tax(amounts: list[D], percent: int, tax: D) -> None:
    sim = QuickBooksSimulator()
    sim.quirks.allow_discount = True
    ada = sim.seed_customer(DisplayName="Ada")["Id"]
    discount = {
        "DetailType": "DiscountLineDetail",
        "DiscountLineDetail": {"PercentBased": True, "DiscountPercent": D(percent)},
    }
    made = sim.company.seed(
        "Invoice", **bill(ada, *(line(str(amount)) for amount in amounts), discount, TxnTaxDetail={"TotalTax": tax})
    )
    off = (sum(amounts, D(0)) * percent / 100).quantize(CENT, ROUND_HALF_UP)
    assert made["TotalAmt"] == sum(amounts, D(0)) - off + tax


async def test_a_fixed_discount_and_a_described_line_count_as_they_say(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    sim.quirks.allow_discount = True
    lines = (
        line("50.00"),
        {"DetailType": "DescriptionOnly", "Description": "with thanks", "Amount": 7},
        {"DetailType": "DiscountLineDetail", "Amount": D("12.50"), "DiscountLineDetail": {"PercentBased": False}},
    )
    made = (await client.post("invoice", bill(ada, *lines))).one("Invoice")
    assert made["TotalAmt"] == D("37.50")


@pytest.mark.parametrize("first, expected", [(True, "99.00"), (False, "100.00")])
async def test_tax_is_reckoned_before_the_discount_unless_an_invoice_says_otherwise(
    sim: QuickBooksSimulator, client: Client, ada: str, first: bool, expected: str
) -> None:
    sim.quirks.allow_discount, sim.quirks.sales_tax_rate = True, D("0.10")
    off = {"DetailType": "DiscountLineDetail", "Amount": D(10), "DiscountLineDetail": {"PercentBased": False}}
    taxed = line("100")
    taxed["SalesItemLineDetail"]["TaxCodeRef"] = {"value": "TAX"}
    made = (await client.post("invoice", bill(ada, taxed, off, ApplyTaxAfterDiscount=first))).one("Invoice")
    assert made["TotalAmt"] == D(expected)


async def test_a_discount_line_is_refused_where_there_are_none_where_it_is_too_much_and_twice(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    off = {"DetailType": "DiscountLineDetail", "Amount": D(60), "DiscountLineDetail": {"PercentBased": False}}
    for allowed, lines in ((False, (line("100"), off)), (True, (line("50"), off)), (True, (line("500"), off, off))):
        sim.quirks.allow_discount = allowed
        assert (await client.post("invoice", bill(ada, *lines))).error[0] == "6000"


async def test_whole_unit_currencies_are_kept_whole(sim: QuickBooksSimulator, client: Client) -> None:
    sim.quirks.multicurrency = True
    aiko = sim.seed_customer(DisplayName="Aiko", CurrencyRef={"value": "JPY"})["Id"]
    made = (await client.post("invoice", bill(aiko, line("1200.4"), CurrencyRef={"value": "JPY"}))).one("Invoice")
    assert (made["TotalAmt"], made["CurrencyRef"]["value"], made["ExchangeRate"]) == (1200, "JPY", 1)


async def test_with_multicurrency_an_invoice_names_the_customers_own_currency(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    assert (await client.post("invoice", bill(ada, CurrencyRef={"value": "USD"}))).status == 200
    sim.quirks.multicurrency = True
    assert (await client.post("invoice", bill(ada))).code == 2020
    assert (await client.post("invoice", bill(ada, CurrencyRef={"value": "EUR"}))).code == 6000
    assert (await client.post("invoice", bill(ada, CurrencyRef={"value": "USD"}))).status == 200


# ---------------------------------------------------------------- numbers, dates, updates


async def test_a_document_number_used_before_is_refused_only_where_the_company_warns(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    first = (await client.post("invoice", bill(ada, DocNumber="INV-1001"))).one("Invoice")
    assert (await client.post("invoice", bill(ada, DocNumber="INV-1001"))).status == 200
    sim.quirks.warn_duplicate_docnum = True
    refused = await client.post("invoice", bill(ada, DocNumber="inv-1001"))
    assert (refused.code, f"TxnId={first['Id']}" in refused.error[1]) == (6140, True)
    assert (await client.post("salesreceipt", bill(ada, DocNumber="INV-1001"))).status == 200
    allowed = await client.post("invoice", bill(ada, DocNumber="INV-1001"), include="allowduplicatedocnum")
    assert allowed.status == 200
    found = (await client.query("select * from Invoice where DocNumber = 'INV-1001'")).one("QueryResponse")
    assert len(found["Invoice"]) == 3


async def test_numbers_are_given_in_sequence_unless_the_company_types_its_own(
    sim: QuickBooksSimulator, client: Client, ada: str
) -> None:
    await client.post("invoice", bill(ada, DocNumber="2040"))
    assert (await client.post("invoice", bill(ada))).one("Invoice")["DocNumber"] == "2041"
    sim.quirks.custom_txn_numbers = True
    assert "DocNumber" not in (await client.post("invoice", bill(ada))).one("Invoice")


async def test_a_closed_period_takes_no_transactions(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    sim.quirks.closed_until = date(2025, 12, 31)
    assert (await client.post("invoice", bill(ada, TxnDate="2025-12-31"))).code == 6210
    assert (await client.post("invoice", bill(ada, TxnDate="2026-01-01"))).status == 200


async def test_an_update_replaces_the_lines_and_sums_anew(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    made = (await client.post("invoice", bill(ada, PrivateNote="kept"))).one("Invoice")
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "Line": [line("40"), line("2.50")]}
    changed = (await client.post("invoice", change)).one("Invoice")
    assert (changed["TotalAmt"], changed["PrivateNote"], changed["DocNumber"]) == (D("42.50"), "kept", "1001")
    assert (await client.post("invoice", change)).code == 5010
    assert sim.customers[ada]["Balance"] == D("42.50")


async def test_a_void_invoice_stays_and_is_worth_nothing(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    made = (await client.post("invoice", bill(ada))).one("Invoice")
    stale = await client.post("invoice", {"Id": made["Id"], "SyncToken": "9"}, operation="void")
    assert stale.code == 5010
    void = (await client.post("invoice", {"Id": made["Id"], "SyncToken": "0"}, operation="void")).one("Invoice")
    assert (void["TotalAmt"], void["Balance"], void["PrivateNote"], void["SyncToken"]) == (0, 0, "Voided", "1")
    assert (await client.get(f"invoice/{made['Id']}")).one("Invoice") == void
    assert sim.customers[ada]["Balance"] == 0


async def test_a_deleted_invoice_is_gone(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    made = (await client.post("invoice", bill(ada))).one("Invoice")
    gone = (await client.post("invoice", {"Id": made["Id"], "SyncToken": "0"}, operation="delete")).one("Invoice")
    assert (gone["Id"], gone["status"]) == (made["Id"], "Deleted")
    assert (await client.get(f"invoice/{made['Id']}")).code == 610
    assert not sim.invoices
    assert sim.customers[ada]["Balance"] == 0
    assert (await client.post("invoice", bill(ada), operation="frobnicate")).code == 500


async def test_a_payment_lowers_the_balance_and_can_be_read(sim: QuickBooksSimulator, client: Client, ada: str) -> None:
    made = (await client.post("invoice", bill(ada))).one("Invoice")
    payment = sim.pay(made["Id"], D("40.00"))
    read = (await client.get(f"payment/{payment['Id']}")).one("Payment")
    assert read["Line"][0]["LinkedTxn"] == [{"TxnId": made["Id"], "TxnType": "Invoice"}]
    assert (await client.get(f"invoice/{made['Id']}")).one("Invoice")["Balance"] == 60
    sim.pay(made["Id"])
    assert (await client.get(f"invoice/{made['Id']}")).one("Invoice")["Balance"] == 0
    assert (await client.post("payment", {})).code == 500
