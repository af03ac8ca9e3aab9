"""What tests of payment links and payments share: an invoice, the request for its link, what Nomod sends of money."""

import json
from typing import Any

from storage.records import Delivery
from tests.configuring import NOMOD_EVENTS
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, Answer, Callers

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


async def ask(who: Callers, invoice: str, **more: Any) -> Answer:
    """Ask for the payment link of an invoice, and wait for it."""
    told = {"invoice_id": invoice, "connection": NOMOD, "wait_seconds": 30, **more}
    return await who.operator.ask("POST", f"{API}/payment-links", told)


def an_invoice(rig: Rig, **fields: Any) -> tuple[str, str]:
    """Make a customer with an invoice, and return the ids of both."""
    ada = rig.flexprice.add_customer(**ADA)
    return ada["id"], str(rig.flexprice.add_invoice(ada["id"], **fields)["id"])


def charge_event(rig: Rig, charge: str, kind: str = "charge.completed") -> bytes:
    """Return what Nomod sends: a copy of the charge, with the card that nobody should see."""
    told = {"type": kind, "eventId": f"evt_{charge}", "objectId": charge, "data": rig.nomod.charges[charge]}
    return json.dumps(told, default=str).encode()


async def tell(rig: Rig, charge: str) -> Delivery:
    """Send the webhook about a charge, and return the delivery once all is done."""
    delivery = await rig.send(charge_event(rig, charge), source=NOMOD_EVENTS)
    await rig.finish()
    return await rig.store.get_delivery(delivery)
