"""`listen`: what happens, as it happens."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import Opened, run, scope_of
from gateway.cli.options import Environment, Tenant, examples

if TYPE_CHECKING:
    from gateway.operations.deliveries import DeliveryView
    from gateway.operations.jobs import JobSummary
    from storage.records import Scope

LOOK_SECONDS = 1.0
QUIET_SECONDS = 0.3
"""Between two looks, however much happens: a busy gateway is not to be slowed down by who watches it."""
PAGE = 100
MOST_KNOWN = 5000
TROUBLE = frozenset({"failed", "needs_review"})
STATE_WIDTH = len("needs_review")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "listen", epilog=examples("listen", "listen --source flexprice-prod", "listen --connection qbo-prod --trouble")
    )(listen)


def listen(
    *,
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    connection: Annotated[str | None, typer.Option("--connection", help="Only jobs on this connection.")] = None,
    trouble: Annotated[bool, typer.Option("--trouble", help="Only what has failed or needs a person.")] = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
) -> None:
    """Print deliveries and jobs as they come and as their state changes, until interrupted."""
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: Opened) -> None:
        known: dict[str, Any] = {}
        first = True
        while True:
            token = await desk.store.change_token()
            for named, state, fields in await _news(desk, scope, source, connection):
                if known.get(named) != state and not first and (not trouble or state[0] in TROUBLE):
                    output.line(_line(named, state[0], fields))
                known[named] = state
            while len(known) > MOST_KNOWN:
                known.pop(next(iter(known)))
            if first:
                output.hint("Listening; Ctrl-C ends.")
            first = False
            output.flush()
            await desk.store.wait_for_change(LOOK_SECONDS, since=token)
            await asyncio.sleep(QUIET_SECONDS)

    run(work)


New = tuple[str, tuple[str, int], Sequence[Any]]
"""An id, its state with the count of tries, and what to print of it."""


async def _news(desk: Opened, scope: "Scope", source: str | None, connection: str | None) -> Iterable[New]:
    """Return the newest deliveries and jobs, oldest first, in the order in which they came."""
    from gateway.operations.deliveries import DeliveryFilter
    from gateway.operations.jobs import JobFilter

    wanted = JobFilter(source=source, connection=connection)
    jobs = (await desk.operations.jobs.list(scope, wanted, limit=PAGE)).items
    deliveries: Sequence[DeliveryView] = []
    if connection is None:
        deliveries = (await desk.operations.deliveries.list(scope, DeliveryFilter(source=source), limit=PAGE)).items
    found = [*((each.received_at, _delivery(each)) for each in deliveries)]
    found += [(each.created_at, _job(each)) for each in jobs]
    return [new for _, new in sorted(found, key=lambda item: item[0])]


def _delivery(each: "DeliveryView") -> New:
    told = [f"{each.received_at:%H:%M:%S}", each.source, each.event_type, each.entity_id, each.reason or ""]
    return each.delivery_id, (str(each.status), each.replays), told


def _job(each: "JobSummary") -> New:
    failed = f"{each.error.code}: {each.error.detail}" if each.error is not None else ""
    again = f"again at {each.next_attempt_at:%H:%M:%S}" if each.next_attempt_at is not None and each.attempts else ""
    told = [f"{each.updated_at:%H:%M:%S}", each.connection or each.source, each.kind, each.entity_id]
    return each.job_id, (str(each.status), each.attempts), [*told, each.reason or failed, again]


def _line(named: str, state: str, fields: Sequence[Any]) -> str:
    """Return one line; what others have written in it cannot change the terminal."""
    time, *rest = map(output.cell, fields)
    return "  ".join([named, time, output.painted(state, STATE_WIDTH), *(part for part in rest if part)]).rstrip()
