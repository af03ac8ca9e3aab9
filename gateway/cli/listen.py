"""`listen`: what happens, as it happens."""

import asyncio
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.opened import Opened, run, scope_of
from gateway.cli.options import Environment, Tenant, examples

LOOK_SECONDS = 1.0
PAGE = 100
MOST_KNOWN = 5000


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("listen", epilog=examples("listen", "listen --source flexprice-prod"))(listen)


def listen(
    *,
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
) -> None:
    """Print each delivery as it arrives and as its state changes, until interrupted."""
    from gateway.operations.deliveries import DeliveryFilter

    scope, chosen = scope_of(tenant_id, environment_id), DeliveryFilter(source=source)

    async def work(desk: Opened) -> None:
        known: dict[str, str] = {}
        first = True
        while True:
            page = await desk.operations.deliveries.list(scope, chosen, limit=PAGE)
            for delivery in reversed(page.items):
                if known.get(delivery.delivery_id) != delivery.status and not first:
                    told = [f"{delivery.received_at:%H:%M:%S}", delivery.status.value, delivery.source]
                    told += [delivery.event_type or "-", delivery.entity_id or "-", delivery.reason or ""]
                    output.line("  ".join([delivery.delivery_id, *map(output.cell, told)]).rstrip())
                known[delivery.delivery_id] = delivery.status
            while len(known) > MOST_KNOWN:
                known.pop(next(iter(known)))
            if first:
                output.hint("Listening; Ctrl-C ends.")
            first = False
            output.flush()
            await asyncio.sleep(LOOK_SECONDS)

    run(work)
