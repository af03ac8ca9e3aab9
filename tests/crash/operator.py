"""A careful operator: looks up at the provider what is put before a person, connects again, retries what has failed."""

from typing import TYPE_CHECKING

from gateway import keys
from gateway.app import Gateway
from storage.records import JobStatus, Review, ReviewStatus
from tests.invariants import every
from tests.ledgers import invoices_in_nomod, invoices_in_quickbooks, made_in_quickbooks
from tests.looking import NOMOD, QUICKBOOKS

if TYPE_CHECKING:
    from tests.crash.scene import Scene


class Operator:
    """Does what waits for a person, through the API of any process that answers."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene

    async def turn(self) -> None:
        """Decide reviews, connect again, retry what has failed; what a dying process did not take comes again."""
        scene = self._scene
        for review in await every(scene.store.list_reviews, status=ReviewStatus.OPEN):
            await self._decide(review)
        for connection in await scene.store.list_connections():
            if connection.name == QUICKBOOKS and connection.status == "paused":
                await self._connect_again()
        for job in await every(scene.store.list_jobs, status=JobStatus.FAILED):
            await scene.ask("POST", f"/api/v1/jobs/{job.job_id}/retry")

    async def _decide(self, review: Review) -> None:
        """Look at the provider, as a careful person does: adopt what was made already, else make one.

        A link with another amount than its invoice is left alone until it is known whether anybody has to pay.
        """
        scene, wanted = self._scene, str(review.entity_id)
        dearer = (review.entity_type, review.kind) == ("payment_link", "amount_differs")
        assert review.entity_type in {"customer", "invoice"} or dearer, f"nobody should have been asked: {review}"
        if dearer and review.voided_at is None:
            return
        if review.entity_type == "customer":
            made = scene.nomod.made_for if review.connection == NOMOD else made_in_quickbooks(scene.intuit)
        elif dearer:
            made = {wanted: [each["provider_entity_id"] for each in review.candidates]}
        elif review.connection == NOMOD:
            made, wanted = invoices_in_nomod(scene.nomod), scene.flexprice.invoices[wanted]["invoice_number"]
        else:
            made = invoices_in_quickbooks(scene.intuit)
        known = made.get(wanted)
        decision = {"decision": "adopt", "provider_entity_id": known[0]} if known else {"decision": "create"}
        await scene.ask("POST", f"/api/v1/reviews/{review.review_id}/resolve", decision)

    async def _connect_again(self) -> None:
        """A refresh token that was rotated and never stored is lost; a person gives the consent again."""
        scene = self._scene
        async with Gateway(scene.settings(), serve=False, work=False) as gateway:
            scene.configuring = gateway
            await scene.connect_quickbooks()
            await gateway.app[keys.STORE].set_connection_status(QUICKBOOKS, status="active", now=scene.now())
