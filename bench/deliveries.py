"""Signed webhooks made before the clock starts: each with its own id, its own body and its own signature."""

import json
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.sources.signing import sign

SECRETS = ("whsec_" + "b2xkIHNlY3JldCB0aGF0IHdhcyByb3RhdGVk" * 2, "whsec_" + "bmV3IHNlY3JldCB0aGF0IHNpZ25zIHRvZGF5" * 2)
"""The second one signs, so that a receiver with several secrets tries them all."""
FORGED = "whsec_" + "c29tZWJvZHkgZWxzZSdzIHNlY3JldCBoZXJl" * 2
EVENT = "invoice.update.finalized"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it goes over the wire; `forged` says that its signature is wrong."""

    raw: bytes
    forged: bool = False


def invoice_body(number: int, rng: random.Random) -> bytes:
    """Return a finalized invoice as Flexprice sends it, about 1,900 bytes."""
    mark = f"{rng.getrandbits(80):020X}"
    return json.dumps({"event_type": EVENT, "invoice": _invoice(number, mark)}, separators=(",", ":")).encode()


def request(
    body: bytes, *, path: str, port: int, message_id: str, secret: str = SECRETS[1], timestamp: int | None = None
) -> bytes:
    """Return a signed POST."""
    moment = int(time.time()) if timestamp is None else timestamp
    headers = {
        "Host": f"127.0.0.1:{port}", "User-Agent": "Svix-Webhooks/1.81.0", "Accept": "*/*",
        "Content-Type": "application/json",
        **sign(secret, message_id=message_id, timestamp=moment, body=body),
        "Content-Length": str(len(body)),
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def invoices(
    count: int, *, path: str, port: int, forged: float = 0.0, seed: int | None = None
) -> list[Request]:  # fmt: skip
    """Return `count` requests, of which the share `forged` is signed with a wrong secret, evenly spread."""
    rng = random.Random(seed)
    run = f"{rng.getrandbits(48):012x}"
    made, owed = [], 0.0
    for number in range(count):
        owed += forged
        bad = owed >= 1.0
        owed -= bad
        raw = request(
            invoice_body(number, rng), path=path, port=port, message_id=f"msg_{run}{number:08d}",
            secret=FORGED if bad else SECRETS[1],
        )  # fmt: skip
        made.append(Request(raw, forged=bad))
    return made


def write(requests: Iterable[Request], folder: Path) -> tuple[Path, Path]:
    """Write the bytes of requests, one after another, and a line for each: its length, and 1 when it is forged."""
    data, index = folder / "requests", folder / "index"
    with data.open("wb") as raw, index.open("w", encoding="ascii") as lines:
        for each in requests:
            raw.write(each.raw)
            lines.write(f"{len(each.raw)} {int(each.forged)}\n")
    return data, index


def read(data: Path, index: Path) -> list[Request]:
    """Return what `write` has written."""
    made: list[Request] = []
    with data.open("rb") as raw, index.open(encoding="ascii") as lines:
        for line in lines:
            length, forged = line.split()
            made.append(Request(raw.read(int(length)), forged=forged == "1"))
    return made


def size(requests: Sequence[Request]) -> int:
    """Return the bytes of the first request's body."""
    return len(requests[0].raw.partition(b"\r\n\r\n")[2]) if requests else 0


def _invoice(number: int, mark: str) -> dict[str, Any]:
    lines = [
        {
            "id": f"inv_line_01{mark}{n}", "price_id": f"price_01J{n:02d}SCALE", "display_name": name,
            "quantity": quantity, "amount": amount, "currency": "aed", "period_start": "2026-10-01T00:00:00Z",
            "period_end": "2026-11-01T00:00:00Z",
        }
        for n, (name, quantity, amount) in enumerate(
            [("Scale plan, monthly", "1", "499"), ("API calls above the included million", "4123456", "8659.25"),
             ("Storage, GB-month", "5120", "1280"), ("Seats", "48", "2352")]
        )
    ]  # fmt: skip
    return {
        "id": f"inv_01{mark}", "customer_id": f"cust_01{mark}", "environment_id": "env_01JBENCH0000000000",
        "subscription_id": f"subs_01{mark}", "invoice_type": "SUBSCRIPTION", "invoice_status": "FINALIZED",
        "payment_status": "PENDING", "currency": "aed", "amount_due": "12790.25", "amount_paid": "0",
        "amount_remaining": "12790.25", "subtotal": "12790.25", "total": "12790.25", "total_discount": "0",
        "total_tax": "0", "invoice_number": f"INV-2026-{number:06d}", "billing_sequence": number,
        "billing_period": "MONTHLY", "billing_reason": "SUBSCRIPTION_CYCLE", "description": "October 2026",
        "due_date": "2026-12-01T00:00:00Z", "finalized_at": "2026-11-01T00:02:07Z",
        "period_start": "2026-10-01T00:00:00Z", "period_end": "2026-11-01T00:00:00Z",
        "metadata": {"po_number": f"PO-{number}", "region": "me-central"}, "line_items": lines,
        "customer": {
            "id": f"cust_01{mark}", "external_id": f"acct-{number}", "name": "Müller & Söhne GmbH",
            "email": f"billing+{number}@example.com", "address_city": "Dubai", "address_country": "AE",
        },
    }  # fmt: skip
