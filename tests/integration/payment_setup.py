"""What tests of payments share: an invoice, the request for its link, what providers send of money."""

import json
from decimal import Decimal
from typing import Any

import aiohttp
from pydantic import SecretStr

from gateway.configuration.specs import SourceSpec
from gateway.sources.base import Verification
from gateway.sources.signing import sign_as_intuit
from storage.records import Delivery
from tests.configuring import ENVIRONMENT, NOMOD_EVENTS, TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Answer, Callers

QUICKBOOKS_EVENTS, TOKEN = "quickbooks-events", "cf91a1f2-7a7d-4b6b-verifier-token"
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


async def add_quickbooks_events(rig: Rig) -> None:
    """Configure Intuit's webhooks about payments as a source that this rig signs."""
    await rig.put_source(
        SourceSpec(
            name=QUICKBOOKS_EVENTS, platform="quickbooks", tenant_id=TENANT, environment_id=ENVIRONMENT,
            verification=Verification.INTUIT_SIGNATURE, secrets=(SecretStr(TOKEN),), options={"connection": QUICKBOOKS},
        )
    )  # fmt: skip


def payments_event(rig: Rig, *payments: str, realm: str = "") -> bytes:
    """Return CloudEvents about payments, as Intuit sends them by now."""
    told = [
        {
            "specversion": "1.0", "id": f"evt-{payment}", "type": "qbo.payment.created.v1", "intuitentityid": payment,
            "time": "2025-09-10T21:31:25.179851517Z", "intuitaccountid": realm or rig.intuit.realm_id,
        }
        for payment in payments
    ]  # fmt: skip
    return json.dumps(told).encode()


async def post_as_intuit(rig: Rig, body: bytes, token: str = TOKEN) -> tuple[int, dict[str, Any]]:
    """Post as Intuit does; return status and answer."""
    async with aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/json", **sign_as_intuit(token, body)}
        url = f"{rig.gateway.url}/webhooks/{QUICKBOOKS_EVENTS}"
        async with session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.json()


async def send_as_intuit(rig: Rig, body: bytes) -> str:
    """Post as Intuit does, and return the id of the delivery. It must be acknowledged."""
    status, answer = await post_as_intuit(rig, body)
    assert status in (200, 202), answer
    rig.acknowledged.append(str(answer["delivery_id"]))
    return rig.acknowledged[-1]


async def a_dearer_link(rig: Rig, who: Callers) -> tuple[str, str]:
    """Have a link that asks for tax on top of what is open, before a person; return the invoice's id and the link's."""
    rig.nomod.account_tax = Decimal(5)
    _, invoice = an_invoice(rig)
    assert (await ask(who, invoice)).json["status"] == "needs_review"
    rig.nomod.account_tax = Decimal(0)
    [record] = rig.nomod.links
    return invoice, record
