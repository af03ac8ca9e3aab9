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
from gateway.operations.payment_links import PATIENCE, LinkState, PaymentLinkView
from gateway.operations.values import EntityId, Name
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given
from storage.errors import NotFoundError


class PaymentLinkRequest(Given):
    """The invoice that is to be paid, and where."""

    invoice_id: EntityId
    connection: Name
    source: Name | None = Field(None, description="Whose invoice; needed where several sources have invoices.")
    wait_seconds: float = Field(
        PATIENCE, ge=0, le=30, description="How long to wait for the link before answering 202; 0 is not at all."
    )


@endpoint(
    "POST", "/payment-links", role=Role.OPERATOR, status=202, sooner=(200, lambda view: view.status is LinkState.READY),
    problems=(
        NotFoundError, InvoiceNotFoundError, InvoiceNotPayableError, CapabilityMissingError, SourceUnavailableError,
        SourceAuthenticationError,
    ),
)  # fmt: skip
async def create_payment_link(call: Call, *, body: PaymentLinkRequest) -> PaymentLinkView:
    """Ask for a payment link for what is open of a finalized invoice.

    200 with its `url` where it is there, or comes while the request waits; else 202, and `job_id` is the job that leads
    to it. The invoice's customer is made to exist on the connection first. Asking again gives the same link, and a new
    one once the amount has changed: the old one is switched off.
    """
    return await call.operations.payment_links.request(
        call.scope, invoice_id=body.invoice_id, connection=body.connection, source=body.source,
        patience=body.wait_seconds, actor=call.actor,
    )  # fmt: skip


ENDPOINTS = (create_payment_link,)
