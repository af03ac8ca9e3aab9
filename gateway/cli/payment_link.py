"""`payment-link`: a page on which a customer pays what is open of an invoice."""

from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Environment, Json, Tenant, command, noun

app = noun("Payment links: a page on which a customer pays what is open of an invoice.")
NEEDS_A_PERSON, NOT_THERE = 3, 1


@command(
    app,
    "create",
    "payment-link create inv_0123 --connection nomod-prod",
    "payment-link create inv_0123 --connection nomod-prod --wait 30 --json",
)
def create(
    invoice_id: Annotated[str, typer.Argument(help="The platform's invoice, by id.")],
    *,
    connection: Annotated[str, typer.Option("--connection", help="Where the link is made.")],
    source: Annotated[str | None, typer.Option("--source", help="Whose invoice; where several have invoices.")] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=300, metavar="SECONDS", help="How long to wait for the link.")
    ] = 15.0,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Make the one payment link of an invoice, or show it; a running gateway or worker does the work.

    Prints the link's address alone. Asking twice gives the same link; once the amount that is open has changed, a new
    one is made and the old one is switched off. Exit code 1 while it is not there yet, 3 when a person must decide
    first.
    """
    from gateway.operations.payment_links import LinkState

    scope = scope_of(tenant_id, environment_id)
    found = run(
        lambda desk: desk.operations.payment_links.request(
            scope, invoice_id=invoice_id, connection=connection, source=source, patience=wait, actor=ACTOR
        ),
        live=True,
    )
    if json:
        output.print_json(found)
    elif found.status is LinkState.READY:
        output.line(found.url or "")
    else:
        output.hint(f"{found.status}: see `ledgergate job show {found.job_id}`.")
    if found.status is LinkState.NEEDS_REVIEW:
        raise typer.Exit(NEEDS_A_PERSON)
    if found.status is not LinkState.READY:
        raise typer.Exit(NOT_THERE)
