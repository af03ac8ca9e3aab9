"""The demo: plays the scenario against a real gateway, shows what became of each webhook, and checks the promise."""

import asyncio
import json
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway import logs
from gateway.sandbox.paying import Paying
from gateway.sandbox.scenario import Scenario, Step
from gateway.sandbox.world import World
from gateway.settings import LogFormat, LogLevel
from gateway.terminals import styled
from storage.records import DeliveryStatus, EntityMapping, MappingStatus

PATIENCE_SECONDS = 45.0
KEPT_PORT = 8080


def run_demo(*, keep: bool = False) -> int:
    """Play the demo; return 0 when everything came out as it must, else 1. With `keep`, go on until interrupted."""
    logs.configure(LogFormat.CONSOLE, LogLevel.ERROR)
    try:
        return asyncio.run(_demo(keep=keep))
    except KeyboardInterrupt:
        return 0


async def _demo(*, keep: bool) -> int:
    console, begun = _console(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ledgergate-demo-") as folder:
        console.print("Starting Flexprice, Tirdad, Tithely, Nomod and QuickBooks on loopback, and the gateway …")
        async with World(Path(folder), port=KEPT_PORT if keep and _free(KEPT_PORT) else 0) as world:
            console.print(f"The gateway listens on {world.gateway.url}. Posting signed webhooks …")
            scenario = Scenario(world)
            await scenario.play()
            await _settled(world, scenario.steps, console)
            paying = Paying(world=world)
            await paying.play()
            wrong = [*_unexpected(scenario.steps), *await _doubled(world, scenario), *await _unwritten(world)]
            wrong += paying.wrong
            console.print(_table(scenario.steps))
            console.print(f"Payment links, each asked for twice: {'; '.join(paying.told)}.", soft_wrap=True)
            _verdict(console, world, scenario.steps, wrong, time.monotonic() - begun)
            if keep and not wrong:
                await _keep(console, world)
    return 1 if wrong else 0


async def _settled(world: World, steps: list[Step], console: Console) -> None:
    """Wait until every delivery has ended, showing how many have."""
    for step in steps:
        if step.sent is not None and step.sent.delivered:
            step.delivery_id = json.loads(await _answer_of(world, step))["delivery_id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("working …")
        while time.monotonic() < deadline:
            open_ones = 0
            for step in steps:
                if step.delivery_id is None:
                    continue
                delivery = await world.store.get_delivery(step.delivery_id)
                step.status, step.reason = str(delivery.status), delivery.reason or ""
                open_ones += delivery.status is DeliveryStatus.PENDING
            progress.update(task, description=f"{open_ones} of {len(steps)} webhooks still being worked on …")
            if not open_ones:
                return
            await asyncio.sleep(0.2)


async def _answer_of(world: World, step: Step) -> str:
    """Ask the door again for the id of a delivery: a repeat is answered with the id of the first."""
    sent = step.sent
    if sent is None:
        return "{}"
    headers = world.target(step.source).headers(sent.body, message_id=sent.message_id, timestamp=int(time.time()))
    async with (
        aiohttp.ClientSession() as session,
        session.post(sent.url, data=sent.body, headers=headers) as answer,
    ):
        return await answer.text()


def _unexpected(steps: Iterable[Step]) -> list[str]:
    """Return what did not come out as expected."""
    wrong = []
    for step in steps:
        if step.expected == "refused":
            step.status = f"refused ({step.sent.status})" if step.sent else ""
            if step.sent is None or step.sent.status != 401:
                wrong.append(f"{step.told}: it was not refused")
        elif step.expected == "absorbed":
            step.status = "absorbed (200)" if step.sent and step.sent.status == 200 else step.status
            if step.sent is None or step.sent.status != 200:
                wrong.append(f"{step.told}: it was stored twice")
        elif step.status != step.expected:
            wrong.append(f"{step.told}: {step.status or 'not taken'} instead of {step.expected} ({step.reason})")
    return wrong


async def _doubled(world: World, scenario: Scenario) -> list[str]:
    """Compare what the providers have with what they must have, by the providers' own ledgers."""
    wrong = []
    for email, expected in scenario.customers.items():
        found = f"{len(world.nomod.with_email(email))}/{len(world.quickbooks.customers_with_email(email))}"
        if found != expected:
            wrong.append(f"{email}: {found} records in Nomod/QuickBooks instead of {expected}")
    page = await world.store.list_mappings(limit=200, status=MappingStatus.LINKED)
    records = [(mapping.connection, mapping.provider_entity_id) for mapping in page.items]
    wrong += [f"record {record} is linked twice" for record in set(records) if records.count(record) > 1]
    return [*wrong, *_misbilled(world, page.items)]


def _misbilled(world: World, linked: Sequence[EntityMapping]) -> list[str]:
    """Compare the providers' invoices with the platforms': each there once, with the same sum."""
    made = {
        "nomod": {record: invoice["bill"].amount for record, invoice in world.nomod.invoices.items()},
        "quickbooks": {record: invoice["TotalAmt"] for record, invoice in world.quickbooks.invoices.items()},
    }
    billed = [mapping for mapping in linked if mapping.entity_type == "invoice"]
    wrong = []
    for connector, invoices in made.items():
        known = {mapping.provider_entity_id for mapping in billed if mapping.connector == connector}
        wrong += [f"invoice {record} in {connector} is linked to nothing" for record in invoices.keys() - known]
    for mapping in billed:
        platform = world.tirdad if mapping.source == "tirdad-sandbox" else world.flexprice
        ours = Decimal(platform.invoices[mapping.entity_id]["total"])
        theirs = made[mapping.connector].get(mapping.provider_entity_id or "")
        if theirs != ours:
            wrong.append(f"{mapping.entity_id}: {theirs} in {mapping.connector} instead of {ours}")
    return wrong


async def _unwritten(world: World) -> list[str]:
    """Return the links that the platforms were not told."""
    wrong = []
    for mapping in (await world.store.list_mappings(limit=200, status=MappingStatus.LINKED)).items:
        platform = {"flexprice-sandbox": world.flexprice, "tirdad-sandbox": world.tirdad}.get(mapping.source)
        if platform is None or mapping.entity_type == "payment_link":
            continue
        kind = mapping.entity_type
        told = (platform.customers if kind == "customer" else platform.invoices)[mapping.entity_id]
        if (told.get("metadata") or {}).get(f"{mapping.connector}_{kind}_id") != mapping.provider_entity_id:
            wrong.append(f"{mapping.entity_id}: the platform does not know its {mapping.connector} record")
    return wrong


def _table(steps: Iterable[Step]) -> Table:
    table = Table(title="What became of each webhook", title_justify="left")
    for heading in ("source", "what happened", "outcome", "why"):
        table.add_column(heading, overflow="fold")
    for step in steps:
        good = step.status.startswith(step.expected)
        table.add_row(
            step.source.removesuffix("-sandbox"),
            step.told,
            f"[{'green' if good else 'red'}]{step.status}[/]",
            step.reason,
        )
    return table


def _verdict(console: Console, world: World, steps: list[Step], wrong: list[str], seconds: float) -> None:
    made = sum(1 for call in world.nomod.calls if call.route == "POST /v1/customers" and call.worked)
    billed = [invoice["bill"].amount for invoice in world.nomod.invoices.values()]
    booked = [invoice["TotalAmt"] for invoice in world.quickbooks.invoices.values()]
    posted = sum(1 for call in world.quickbooks.calls if call.route.endswith("/customer") and call.method == "POST")
    console.print(
        f"{len(steps)} webhooks · Nomod: {len(world.nomod.customers)} contacts ({made} created), "
        f"{len(billed)} invoices (AED {sum(billed):,.2f}) · "
        f"QuickBooks: {len(world.quickbooks.customers)} customers ({posted} create requests, lost answers repeated "
        f"under the same request id), {len(booked)} invoices (AED {sum(booked):,.2f}) · {seconds:.1f} s"
    )
    for line in wrong:
        console.print(f"[red]wrong:[/] {line}")
    console.print("[red]The demo failed.[/]" if wrong else "[green]Nothing lost, nothing doubled.[/]")


async def _keep(console: Console, world: World) -> None:
    console.print(f"Console: {world.gateway.url}/console")
    if world.gateway.new_admin_key:
        console.print(f"Admin API key of this sandbox: {world.gateway.new_admin_key}", soft_wrap=True)
    console.print("Commands in another terminal work on this sandbox after:")
    settings = world.gateway.settings
    told = (
        f"LEDGERGATE_DATABASE_URL={settings.database_url}",
        "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES=true",
        f"GATEWAY={world.gateway.url}",
    )
    console.print(f"  export {' '.join(told)}", soft_wrap=True, highlight=False)
    console.print("Running until you press Ctrl-C.")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _console() -> Console:
    console = Console(color_system="auto" if styled(sys.stdout) else None)
    return console if console.is_terminal else Console(width=140)
