"""The second process of the conformance kit: shares a database with the first, then starts from an empty one."""

import asyncio
import importlib
import json
import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.models import Customer
from connectors.testing.bench import CountingLimiter
from connectors.testing.clock import Clock
from gateway.conformance.driving import drive
from gateway.conformance.engine import NOT_IMPORTABLE, told
from gateway.conformance.node import Setup, open_node
from gateway.egress import new_session
from gateway.pipeline.snapshots import from_snapshot


async def main(order: dict[str, Any], connector: Any) -> None:
    """Do the shared jobs, then the same customers again, knowing nothing; print the outcomes of the second round."""
    customers = list({snapshot["customer_id"]: from_snapshot(snapshot) for snapshot in order["customers"]}.values())
    setup = Setup(
        connector=connector, config=order["config"], database=Path(order["database"]), key=order["key"],
        clock=Clock(datetime.fromisoformat(order["now"])),
    )  # fmt: skip
    session = new_session(allow_private=True)
    try:
        await _work(setup, session, customers, order)
    finally:
        await session.close()


async def _work(setup: Setup, session: Any, customers: list[Customer], order: dict[str, Any]) -> None:
    node = await open_node(setup, session=session, limiter=CountingLimiter(), owner="kit-process", customers=customers)
    try:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await drive([node], order["jobs"], shared=lambda: True)
    finally:
        await node.connector.close()
        await node.store.close()
    with tempfile.TemporaryDirectory(prefix="ledgergate-kit-") as directory:
        fresh = replace(setup, config=order["new_config"], database=Path(directory) / "kit.db")
        node = await open_node(fresh, session=session, limiter=CountingLimiter(), owner="kit-new", customers=customers)
        try:
            again = [await node.submit(customer, number) for number, customer in enumerate(customers)]
            await drive([node], again)
            sys.stdout.write(json.dumps([told(await node.outcome(job)) for job in again]))
        finally:
            await node.connector.close()
            await node.store.close()


def run() -> int:
    """Read the order from standard input and carry it out."""
    order = json.loads(sys.stdin.readline())
    try:
        connector = importlib.import_module(order["module"])
        for part in order["name"].split("."):
            connector = getattr(connector, part)
    except (ImportError, AttributeError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return NOT_IMPORTABLE
    asyncio.run(main(order, connector))
    return 0


if __name__ == "__main__":
    raise SystemExit(run())
