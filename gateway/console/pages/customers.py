"""Customers: one row each with a column for every connection; one with its history; link, relink and unlink."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from connectors.errors import ConnectorError
from gateway.console.visit import Visit
from gateway.console.words import WARN
from gateway.errors import GatewayError, RequestInvalidError, problem, status_of
from gateway.operations.audits import AuditView
from gateway.operations.customers import CustomerView
from gateway.operations.jobs import JobFilter
from gateway.operations.mappings import subject_of
from gateway.operations.reviews import ReviewFilter
from gateway.operations.transfers import Format
from storage.errors import StorageError
from storage.records import MappingKey

LIMIT = 50
HISTORY = 30
MAX_ID = 255
MAX_REASON = 300
DOWNLOADED = {"Content-Disposition": 'attachment; filename="mappings.csv"'}


async def show_list(visit: Visit) -> web.StreamResponse:
    """Show the list."""
    text = visit.asked("q")[:MAX_ID]
    found = await visit.operations.customers.list(
        visit.scope, text=text or None, limit=LIMIT, cursor=visit.asked("cursor") or None
    )
    rows = await visit.console.store.list_connections(visit.scope)
    names = [row.name for row in rows]
    removed = sorted({m.connection for each in found.items for m in each.mappings} - set(names))
    homes = {row.name: (row.tenant_id, row.environment_id) for row in rows}
    return await visit.page(
        "customers.html", found=found, text=text, columns=[*names, *removed], removed=removed, homes=homes,
        cells=[{mapping.connection: mapping for mapping in each.mappings} for each in found.items],
    )  # fmt: skip


async def download(visit: Visit) -> web.StreamResponse:
    """Return every link of the scope as CSV, which `ledgergate mapping import` and the API take in again."""
    answer = web.StreamResponse(headers=DOWNLOADED)
    answer.content_type, answer.charset = "text/csv", "utf-8"
    pieces = visit.operations.transfers.export(Format.CSV, visit.scope)
    first = await anext(pieces)
    await answer.prepare(visit.request)
    await answer.write(first)
    try:
        async for piece in pieces:
            await answer.write(piece)
    except StorageError:
        if visit.request.transport is not None:
            visit.request.transport.abort()  # a cut download must not look like a whole one
        raise
    await answer.write_eof()
    return answer


async def show(visit: Visit) -> web.StreamResponse:
    """Show one customer: where it is linked, and what happened."""
    return await _page(visit)


async def change(visit: Visit) -> web.StreamResponse:
    """Link, relink or unlink by hand, with a reason."""
    form, customer_id = visit.form, visit.part("customer_id")
    try:
        reason = form.text("reason")[:MAX_REASON]
        if not reason:
            raise RequestInvalidError("say why: the reason is kept in the audit")
        key = MappingKey(
            source=form.text("source"),
            entity_type="customer",
            entity_id=customer_id,
            connection=form.text("connection"),
        )
        if form.text("do") == "unlink":
            gone = await visit.operations.mappings.delete(key, visit.scope, actor=visit.who.actor, reason=reason)
            said = f"Unlinked from {gone.provider_entity_id or 'nothing'} on {key.connection}. The record stays there."
            return visit.go(f"/customers/{quote(customer_id, safe='')}", said, tone=WARN)
        record = form.text("provider_entity_id")[:MAX_ID]
        if not record:
            raise RequestInvalidError("enter the id of the record")
        await visit.operations.mappings.put(
            key, visit.scope, provider_entity_id=record, actor=visit.who.actor, reason=reason
        )
    except (GatewayError, ConnectorError, StorageError) as error:
        return await _page(visit, error=error)
    return visit.go(f"/customers/{quote(customer_id, safe='')}", f"Linked to {record} on {key.connection}.")


async def _page(visit: Visit, *, error: Exception | None = None) -> web.Response:
    customer_id, operations, scope = visit.part("customer_id"), visit.operations, visit.scope
    found = await operations.customers.get(customer_id, scope)
    jobs = await operations.jobs.list(scope, JobFilter(entity_id=customer_id), limit=HISTORY)
    reviews = await operations.reviews.list(scope, ReviewFilter(entity_id=customer_id), limit=HISTORY)
    return await visit.page(
        "customer.html", customer_id=customer_id, found=[(each, await _links(visit, each)) for each in found],
        jobs=jobs, reviews=reviews, audit=await _audit(visit, found), error=problem(error) if error else None,
        form=visit.form, status=status_of(error) if error else 200,
    )  # fmt: skip


async def _links(visit: Visit, customer: CustomerView) -> list[dict[str, Any]]:
    """Return every connection that the customer can be on, with its mapping there and the provider's own page."""
    mapped = {mapping.connection: mapping for mapping in customer.mappings}
    home = (customer.tenant_id, customer.environment_id)
    rows = [
        row
        for row in await visit.console.store.list_connections(visit.scope)
        if (row.tenant_id, row.environment_id) == home
    ]
    names = [row.name for row in rows]
    links = []
    for name in [*names, *sorted(set(mapped) - set(names))]:
        mapping, live = mapped.get(name), visit.console.registry.connections.get(name)
        connector = live.connector if live is not None else None
        record = mapping.provider_entity_id if mapping is not None else None
        links.append(
            {
                "connection": name, "mapping": mapping, "here": name in names,
                "title": connector.title if connector is not None else name,
                "url": connector.console_url(record) if connector is not None and record else None,
            }
        )  # fmt: skip
    return links


async def _audit(visit: Visit, found: Sequence[CustomerView]) -> list[AuditView]:
    """Return what people have changed about the customer's mappings, newest first."""
    rows = await visit.console.store.list_connections(visit.scope)
    entries: list[AuditView] = []
    for each in found:
        for connection in {*(row.name for row in rows), *(mapping.connection for mapping in each.mappings)}:
            key = MappingKey(
                source=each.source, entity_type="customer", entity_id=each.customer_id, connection=connection
            )
            page = await visit.operations.audits.list(visit.scope, subject=subject_of(key), limit=HISTORY)
            entries += page.items
    return sorted(entries, key=lambda entry: entry.audit_id, reverse=True)[:HISTORY]
