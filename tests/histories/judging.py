"""The end of a history: all faults stop, all is done that can be done, and the invariants must hold."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from storage.records import MappingStatus
from tests.harness import NOMOD, QUICKBOOKS, SOURCE, Rig
from tests.histories.people import operate
from tests.integration.polling_setup import looked
from tests.invariants import every
from tests.ledgers import gifts_in_quickbooks
from tests.money_invariants import check_money, check_voids

PATIENCE = 10.0
"""Seconds of waiting; see tests/harness.py."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What has happened that only the history knows."""

    customers: Collection[str]
    charges: Collection[str]
    """What was paid at Nomod, and told of."""
    given: Collection[str] | None
    """Gifts that were told of; None where they are not booked."""
    voids: Collection[str]
    """Invoices that were voided, and told of."""
    unlinked: Collection[tuple[str, str]]
    """Customers and records whose links a person has forgotten."""
    clock_was_wrong: bool


async def judge(rig: Rig, made: Made) -> None:
    """Let everything be done, and raise AssertionError unless the promise was kept."""
    for service in (rig.flexprice, rig.nomod, rig.intuit):
        service.faults.clear()
    await _all_done(rig)
    await looked(rig, SOURCE, ahead=120)  # what was never announced is found
    await _all_done(rig)
    forgotten = {customer for customer, _ in made.unlinked}
    given_away = await _given_away(rig, made.unlinked)
    await rig.check(all_linked=True, doubled_on_purpose=given_away, forgotten=forgotten)
    await check_money(rig.store, rig.world(), charges=made.charges)
    await check_voids(rig.store, rig.world(), voids=made.voids)
    if made.given is not None:
        booked = {gift: len(places) for gift, places in gifts_in_quickbooks(rig.intuit).items()}
        assert booked == dict.fromkeys(made.given, 1), "a gift that is not booked once"
    for customer in made.customers:
        assert rig.flexprice.customers[customer]["metadata"]["plan"] == "gold", "a key of somebody else's is gone"
    if not made.clock_was_wrong:
        await _check_nobody_is_missing(rig, forgotten)


async def _given_away(rig: Rig, unlinked: Collection[tuple[str, str]]) -> set[str]:
    """Return the customers whose record was free for another with their address, since a person had unlinked it.

    They have another record by now, as that person wanted.
    """
    linked = await every(rig.store.list_mappings, entity_type="customer", status=MappingStatus.LINKED)
    holders = {mapping.provider_entity_id: mapping.entity_id for mapping in linked}
    return {customer for customer, record in unlinked if holders.get(record, customer) != customer}


async def _all_done(rig: Rig) -> None:
    for _ in range(50):
        await rig.finish(patience=PATIENCE)
        if not await operate(rig):
            break
    await rig.finish(patience=PATIENCE)


async def _check_nobody_is_missing(rig: Rig, forgotten: Collection[str]) -> None:
    """Every customer with a valid invoice is linked everywhere, whether or not a webhook has told of it.

    One whose link a person has forgotten is, once a valid invoice comes after that.
    """
    invoices = [one for one in rig.flexprice.invoices.values() if one["customer_id"] not in forgotten]
    final = [one for one in invoices if one["invoice_status"] == "FINALIZED"]
    for connection in (NOMOD, QUICKBOOKS):
        expected = {str(invoice["customer_id"]) for invoice in final}
        missing = {customer for customer in expected if await rig.linked(customer, connection) is None}
        assert not missing, f"never came to {connection}: {missing}"
    owed = [str(one["id"]) for one in final if Decimal(one["amount_remaining"]) > 0]  # Nomod asks for nothing else
    unmade = {invoice for invoice in owed if await rig.linked(invoice) is None}
    assert not unmade, f"invoices that were never made: {unmade}"
