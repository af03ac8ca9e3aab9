"""What holds of money after any history: the platform was told of each payment once, and of all that it should know."""

from collections import Counter
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from storage import Store
from storage.records import EntityMapping, MappingStatus
from tests.invariants import World, every
from tests.ledgers import links_in_nomod

_PAID_FOR = {"invoice": "invoice", "link": "payment_link"}
"""What Nomod calls what a charge is for → the type of our mapping."""


async def check_money(store: Store, world: World, *, charges: Collection[str]) -> None:
    """Raise AssertionError unless money was told of as it came.

    No payment was told to the platform twice, none with another sum, none that the provider does not have. Each of the
    `charges` that Nomod has told of, for a record that is an invoice's here, was told: unless the platform asks for
    less than was paid by now, or a person has seen it.
    """
    told = list(world.flexprice.payments.values())
    counted = Counter((each["destination_id"], *_payment(each)) for each in told)
    assert not [each for each, times in counted.items() if times > 1], f"told twice: {counted}"
    for each in told:
        kind, payment = _payment(each)
        assert each["payment_status"] == "SUCCEEDED", f"told by half: {each}"
        assert Decimal(each["amount"]) == _paid(world, kind, payment, each), f"told with another sum: {each}"
    mappings = await every(store.list_mappings)
    seen = {review.entity_id for review in await every(store.list_reviews) if review.entity_type == "payment"}
    known = {(_payment(each)[1], each["destination_id"]) for each in told}
    for charge in sorted(set(charges) - seen):
        made = world.nomod.charges[charge]
        for mapping in _of_ours(made, mappings):
            invoice = world.flexprice.invoices[mapping.entity_id]
            asks = Decimal(invoice["amount_remaining"]) if invoice["invoice_status"] == "FINALIZED" else Decimal()
            if asks >= Decimal(made["total"]):
                assert (charge, mapping.entity_id) in known, f"paid, and the platform was never told: {made} {mapping}"


async def check_voids(store: Store, world: World, *, voids: Collection[str]) -> None:
    """Raise AssertionError where one of the `voids`, which the platform has told of, asks anybody for money.

    What a person has left where it is, or has not chosen of several, is that person's.
    """
    mappings = await every(store.list_mappings, entity_type="invoice")
    for mapping in [each for each in mappings if each.entity_id in voids and each.provider_entity_id]:
        if mapping.connector == "nomod":
            status = world.nomod.invoices[mapping.provider_entity_id]["status"]
            assert status != "unpaid", f"void, and {status} at Nomod: {mapping}"
        elif mapping.provider_entity_id not in world.intuit.company.paid:
            asked = world.intuit.invoices[mapping.provider_entity_id]["Balance"]
            assert not asked, f"void, and QuickBooks asks for {asked}: {mapping}"
    given = await every(store.list_mappings, entity_type="payment_link")
    for link in [each for each in given if each.entity_id in voids and each.status is MappingStatus.LINKED]:
        made = world.nomod.links.get(link.provider_entity_id or "")
        assert made is None or world.nomod.link_status(made) != "enabled", f"void, and it can be paid by a link: {link}"
    asked = [each for each in await every(store.list_reviews) if each.entity_type == "payment_link"]
    left = {review.entity_id for review in asked if review.decision in {"adopt", "ignore"}}
    can_be_paid = links_in_nomod(world.nomod)
    for invoice in set(voids) - left:
        titled = f"Invoice {world.flexprice.invoices[invoice]['invoice_number'] or invoice}"
        assert not can_be_paid.get(titled), f"void, and nobody was given {can_be_paid[titled]}: {invoice}"


def _payment(told: dict[str, Any]) -> tuple[str, str]:
    """Return the provider of a payment at the platform, and its id there."""
    found = [(name, told["metadata"].get(f"{name}_payment_id")) for name in ("nomod", "quickbooks")]
    return next((name, str(payment)) for name, payment in found if payment is not None)


def _paid(world: World, kind: str, payment: str, told: dict[str, Any]) -> Decimal:
    """Return what the provider's payment is over."""
    if kind == "nomod":
        return Decimal(world.nomod.charges[payment]["total"])
    found = world.intuit.companies[world.intuit.realm_id].shelves["Payment"].records[payment]
    return Decimal(found["TotalAmt"])


def _of_ours(charge: dict[str, Any], mappings: Iterable[EntityMapping]) -> list[EntityMapping]:
    """Return the mapping of what a charge has paid for."""
    wanted = {(kind, charge[name]["id"]) for name, kind in _PAID_FOR.items() if charge[name]}
    return [each for each in mappings if (each.entity_type, each.provider_entity_id) in wanted]
