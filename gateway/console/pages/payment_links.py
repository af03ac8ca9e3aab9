"""A payment link for an invoice: asked for with a button on a job's page, shown with what it asks for."""

from aiohttp import web

from connectors.errors import ConnectorError
from gateway.console.visit import Visit
from gateway.errors import GatewayError, RequestInvalidError, problem, status_of
from gateway.operations.jobs import JobBase
from storage.errors import StorageError


def payable(visit: Visit, job: JobBase) -> bool:
    """Whether a payment link can be asked for the invoice that a job is about."""
    registry = visit.console.registry
    live, source = registry.connections.get(job.connection or ""), registry.sources.get(job.source)
    adapter = source.adapter if source is not None else None
    return bool(job.subject and live is not None and live.makes_links and adapter is not None and adapter.has_invoices)


async def create(visit: Visit) -> web.StreamResponse:
    """Ask for the link of the job's invoice, and show it: asking again shows the same one. Raises NotFoundError."""
    job = await visit.operations.jobs.get(visit.part("job_id"), visit.scope)
    if not payable(visit, job):
        raise RequestInvalidError("this job is about no invoice for which the connection could make a payment link")
    try:
        found = await visit.operations.payment_links.request(
            visit.scope, invoice_id=job.subject or "", connection=job.connection or "", source=job.source,
            actor=visit.who.actor,
        )  # fmt: skip
    except (GatewayError, ConnectorError, StorageError) as error:
        told, status = problem(error), status_of(error)
        return await visit.page("payment_link.html", job=job, found=None, error=told, status=status)
    return await visit.page("payment_link.html", job=job, found=found, error=None)
