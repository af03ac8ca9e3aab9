"""The gifts of a day as one sales receipt in QuickBooks: once, with the exact sum, whatever is told twice or lost."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway.app import Gateway
from gateway.sandbox.sender import Mode, transaction_event
from storage import Store
from storage.errors import LeaseLostError, StoreUnavailableError
from storage.records import DeliveryStatus, JobStatus, Settlement
from storage.sqlite.store import SqliteStore
from tests.harness import QUICKBOOKS, TITHELY, Rig

CREATE = "POST /v3/company/*/salesreceipt"


@pytest.fixture
async def church(rig: Rig) -> Rig:
    """Return a rig that sums up the gifts of a day."""
    await configure(rig)
    return rig


async def configure(rig: Rig, **settings: Any) -> None:
    """Sum up the gifts of a day, and begin at a time from which a test does not reach the next."""
    now = rig.clock.now()
    rig.clock.advance((now.replace(hour=9, minute=0) + timedelta(days=1) - now).total_seconds())
    await rig.add_tithely()
    await rig.add_quickbooks(invoices=True, gifts="daily_deposit", **settings)


async def give(rig: Rig, gift: str, amount: str = "2500", **more: Any) -> str:
    """Give, each time as another giver."""
    return await rig.give(transaction_id=gift, amount=amount, email=f"{gift}@example.org", **more)


def booked(rig: Rig) -> dict[str, dict[str, Decimal]]:
    """Return number → gift → amount, once it is sure that each sum is that of its lines and that nothing is doubled."""
    found: dict[str, dict[str, Decimal]] = {}
    for each in rig.intuit.sales_receipts.values():
        lines = [line for line in each["Line"] if line["DetailType"] == "SalesItemLineDetail"]
        assert each["DocNumber"] not in found
        assert "CustomerRef" not in each
        found[each["DocNumber"]] = {line["Description"]: Decimal(str(line["Amount"])) for line in lines}
        assert len(found[each["DocNumber"]]) == len(lines)
        assert sum(found[each["DocNumber"]].values()) == each["TotalAmt"]
    gifts = [gift for document in found.values() for gift in document]
    assert len(gifts) == len(set(gifts)), f"booked twice: {gifts}"
    return found


def number(rig: Rig, end: str = "USD") -> str:
    """Return what the document of today is called."""
    return f"GIFTS-{rig.clock.now():%Y%m%d}-{end}"


async def test_a_day_of_gifts_becomes_one_receipt_after_it_has_ended(church: Rig) -> None:
    church.intuit.company.seed("Account", Name="Checking", AccountType="Bank")
    church.intuit.seed_item("Offerings")
    await church.add_quickbooks(
        invoices=True, gifts="daily_deposit", gift_item="Offerings", deposit_account="Checking"
    )  # fmt: skip
    day, called = church.clock.now().date(), number(church)
    deliveries = [await give(church, f"ch_{n}", str(1001 + n)) for n in range(12)]
    await church.live(20 * 3600)
    assert not church.intuit.sales_receipts, "the day has not ended everywhere"
    assert len(church.intuit.customers) == 12, "givers do not wait"
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {called: {f"ch_{n}": Decimal(1001 + n) / 100 for n in range(12)}}
    (made,) = church.intuit.sales_receipts.values()
    assert made["TxnDate"] == day.isoformat()
    assert church.intuit.company.shelves["Account"].records[made["DepositToAccountRef"]["value"]]["Name"] == "Checking"
    assert {
        line["SalesItemLineDetail"]["ItemRef"]["name"] for line in made["Line"] if "SalesItemLineDetail" in line
    } == {"Offerings"}
    assert church.clock.now() >= datetime(day.year, day.month, day.day, 13, tzinfo=UTC) + timedelta(days=1)
    assert {(await church.delivery(each)).status for each in deliveries} == {DeliveryStatus.PROCESSED}
    (mapping,) = await church.mappings(entity_type="invoice")
    assert (mapping.entity_id, mapping.connection) == (f"gift-day:{day}:USD", QUICKBOOKS)


async def test_repeated_and_racing_events_book_each_gift_once(church: Rig) -> None:
    await church.start_node()
    called = number(church)
    await asyncio.gather(*[give(church, f"ch_{n % 5}", node=n % 2) for n in range(20)])
    church.clock.advance(16 * 3600)  # told of again after midnight, by a sender whose timestamps are those of sending
    await asyncio.gather(*[give(church, f"ch_{n}", node=n % 2) for n in range(5)])
    await church.finish()
    again = await give(church, "ch_1")
    await church.finish()
    await church.store.replay_delivery(again)
    await church.refresh()
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {called: {f"ch_{n}": Decimal(25) for n in range(5)}}


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("mode", ["replay", "off"])
async def test_a_lost_answer_makes_no_second_receipt(church: Rig, kind: FaultKind, mode: str) -> None:
    church.intuit.quirks.requestid_mode = mode
    church.intuit.faults.add(Fault(kind=kind, route=CREATE))
    called = number(church)
    await give(church, "ch_1")
    await give(church, "ch_2", "1999")
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {called: {"ch_1": Decimal(25), "ch_2": Decimal("19.99")}}


class DyingStore(SqliteStore):
    """A store that is gone, once, right after or right before a step: what the attempt knew is lost."""

    step = ""
    died = False

    def _dies(self, step: str) -> None:
        if step == self.step and not self.died:
            self.died = True
            raise StoreUnavailableError("killed")

    async def keep_fact(self, owner: str, key: str, value: str, *, now: datetime) -> str:
        kept = await super().keep_fact(owner, key, value, now=now)
        self._dies("sealed" if owner.startswith("gift_days:") else "placed")
        return kept

    async def begin_intent(self, new: Any, *, job_id: str, fence: int) -> Any:
        intent = await super().begin_intent(new, job_id=job_id, fence=fence)
        if new.key.entity_type == "invoice":
            self._dies("intended")
        return intent

    async def settle(self, settlement: Settlement) -> None:
        if settlement.link is not None and settlement.link.key.entity_type == "invoice":
            try:
                self._dies("answered")
            except StoreUnavailableError as error:
                raise LeaseLostError from error  # a store that is only away would be waited for
        await super().settle(settlement)


@pytest.mark.parametrize("step", ["placed", "sealed", "intended", "answered"])
async def test_killed_at_any_step_the_day_is_booked_once(tmp_path: Path, step: str) -> None:
    store = DyingStore(tmp_path / "rig.db")
    store.step = step
    rig = Rig(tmp_path)
    rig.kind = partial(Gateway, store=cast("Store", store))
    try:
        await rig.start()
        await configure(rig)
        called = number(rig)
        await give(rig, "ch_1")
        await give(rig, "ch_2", "1")
        await rig.finish()
        await rig.check(all_linked=True)
        assert store.died
        assert booked(rig) == {called: {"ch_1": Decimal(25), "ch_2": Decimal("0.01")}}
    finally:
        await rig.stop()


async def test_late_gifts_go_into_a_correction_with_a_number_of_its_own(church: Rig) -> None:
    called, day = number(church), church.clock.now()
    await give(church, "ch_1")
    await church.finish()
    for late, amount in (("ch_2", "700"), ("ch_3", "5")):
        gift = {"transaction_id": late, "amount": amount, "currency": "USD", "email": f"{late}@example.org"}
        await church.send(transaction_event(gift, timestamp=day.isoformat()), source=TITHELY, mode=Mode.WEBHOOK)
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {
        called: {"ch_1": Decimal(25)}, f"{called}-2": {"ch_2": Decimal(7), "ch_3": Decimal("0.05")},
    }  # fmt: skip
    assert {each["TxnDate"] for each in church.intuit.sales_receipts.values()} == {day.date().isoformat()}


async def test_each_currency_and_each_day_has_a_receipt_of_its_own(church: Rig) -> None:
    church.intuit.quirks.multicurrency = True
    usd, eur = number(church), number(church, "EUR")
    await give(church, "ch_1")
    await give(church, "ch_2", "300", currency="EUR")
    church.clock.advance(24 * 3600)
    tomorrow = number(church)
    await give(church, "ch_3")
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {
        usd: {"ch_1": Decimal(25)}, eur: {"ch_2": Decimal(3)}, tomorrow: {"ch_3": Decimal(25)}
    }  # fmt: skip
    assert {each["DocNumber"]: each["CurrencyRef"]["value"] for each in church.intuit.sales_receipts.values()} == {
        usd: "USD", eur: "EUR", tomorrow: "USD"
    }  # fmt: skip


async def test_what_is_not_a_gift_of_that_day_is_left_out(church: Rig) -> None:
    called = number(church)
    await give(church, "ch_1")
    await give(church, "ch_0", "0")
    await give(church, "ch_unreadable", "12.5")
    gift = {"transaction_id": "ch_2", "amount": "2500", "currency": "USD", "email": "ada@example.org"}
    for kind in ("transaction.refunded", "transaction.failed"):
        event = transaction_event(gift, timestamp=church.clock.now().isoformat()) | {"type": kind}
        await church.send(event, source=TITHELY, mode=Mode.WEBHOOK)
    await church.finish()
    assert booked(church) == {called: {"ch_1": Decimal(25)}}
    [job] = await church.jobs(status=JobStatus.FAILED)
    assert isinstance(job.error, dict)
    assert (job.subject, job.error["code"]) == ("ch_unreadable", "invoice_unreadable")


async def test_one_job_fails_for_all_gifts_of_a_day_and_once_it_is_mended_all_end(church: Rig) -> None:
    await church.add_quickbooks(invoices=True, gifts="daily_deposit", gift_item="Tithes")
    called = number(church)
    for n in range(3):
        await give(church, f"ch_{n}")
    await church.live(50 * 3600)
    [failed] = await church.jobs(status=JobStatus.FAILED)
    assert isinstance(failed.error, dict)
    assert failed.error["code"] == "item_missing"
    assert len(await church.jobs(status=JobStatus.PENDING)) == 2
    church.intuit.seed_item("Tithes")
    await church.retry(failed.job_id)
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {called: {f"ch_{n}": Decimal(25) for n in range(3)}}


async def test_a_gift_whose_job_is_cancelled_is_left_out_until_it_is_retried(church: Rig) -> None:
    called = number(church)
    await give(church, "ch_1")
    await give(church, "ch_2")
    await church.live(3600)
    [job] = [job for job in await church.jobs(kind="ensure_invoice") if job.subject == "ch_1"]
    await church.store.cancel_job(job.job_id, now=church.now(), reason="not ours")
    await church.finish()
    assert booked(church) == {called: {"ch_2": Decimal(25)}}
    await church.retry(job.job_id)
    await church.finish()
    await church.check(all_linked=True)
    assert booked(church) == {called: {"ch_2": Decimal(25)}, f"{called}-2": {"ch_1": Decimal(25)}}


@pytest.mark.parametrize("settings", [("sales_receipt", "daily_deposit"), ("daily_deposit", "sales_receipt")])
async def test_a_gift_that_is_booked_is_not_booked_again_after_the_setting_has_changed(
    church: Rig, settings: tuple[str, str]
) -> None:
    before, after = settings
    await church.add_quickbooks(invoices=True, gifts=before)
    delivery = await give(church, "ch_1")
    await church.finish()
    await church.add_quickbooks(invoices=True, gifts=after)
    await church.store.replay_delivery(delivery)
    await church.refresh()
    await church.finish()
    await church.check(all_linked=True)
    assert len(church.intuit.sales_receipts) == 1


async def test_off_by_default(church: Rig) -> None:
    await church.add_quickbooks(invoices=True)
    await give(church, "ch_1")
    await church.finish()
    await church.check(all_linked=True)
    assert not church.intuit.sales_receipts
