"""A payment link for an invoice: asked for with a button, shown with what it asks for."""

from aiohttp import web

from connectors.errors import ConnectorError
from gateway.console.visit import Visit
from gateway.errors import GatewayError, problem, status_of
from gateway.operations.jobs import JobBase
from storage.errors import StorageError

MAX_ID = 255


def payable(visit: Visit, job: JobBase) -> bool:
    """Whether a payment link can be asked for the invoice that a job is about."""
    registry = visit.console.registry
    live, source = registry.connections.get(job.connection or ""), registry.sources.get(job.source)
    adapter = source.adapter if source is not None else None
    return bool(job.subject and live is not None and live.makes_links and adapter is not None and adapter.has_invoices)


async def create(visit: Visit) -> web.StreamResponse:
    """Ask for the link, and show it: asking again shows the same one."""
    form = visit.form
    invoice_id = form.text("invoice_id")[:MAX_ID]
    try:
        found = await visit.operations.payment_links.request(
            visit.scope, invoice_id=invoice_id, connection=form.text("connection"), source=form.text("source"),
            actor=visit.who.actor,
        )  # fmt: skip
    except (GatewayError, ConnectorError, StorageError) as error:
        return await visit.page(
            "payment_link.html", invoice_id=invoice_id, found=None, error=problem(error), form=form,
            status=status_of(error),
        )  # fmt: skip
    return await visit.page("payment_link.html", invoice_id=invoice_id, found=found, error=None, form=form)
