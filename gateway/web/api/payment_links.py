"""Payment links over HTTP."""

from pydantic import Field

from gateway.access import Role
from gateway.errors import (
    CapabilityMissingError,
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    SourceAuthenticationError,
    SourceUnavailableError,
)
from gateway.operations.payment_links import PaymentLinkView
from gateway.operations.values import EntityId, Name
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given
from storage.errors import NotFoundError


class PaymentLinkRequest(Given):
    """The invoice that is to be paid, and where."""

    invoice_id: EntityId
    connection: Name
    source: Name | None = Field(None, description="Whose invoice; needed where several sources have invoices.")


@endpoint(
    "POST", "/payment-links", role=Role.OPERATOR, status=202,
    problems=(
        NotFoundError, InvoiceNotFoundError, InvoiceNotPayableError, CapabilityMissingError, SourceUnavailableError,
        SourceAuthenticationError,
    ),
)  # fmt: skip
async def create_payment_link(call: Call, *, body: PaymentLinkRequest) -> PaymentLinkView:
    """Ask for a payment link for a finalized invoice.

    The invoice's customer is made to exist on the connection first; `job_id` is the job that does it. Asking again
    while it runs changes nothing.
    """
    return await call.operations.payment_links.request(
        call.scope, invoice_id=body.invoice_id, connection=body.connection, source=body.source, actor=call.actor
    )


ENDPOINTS = (create_payment_link,)
