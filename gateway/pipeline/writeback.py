"""Telling the platform the provider's id. Idempotent; a failure undoes no mapping, is retried, and is visible."""

from gateway.pipeline.dispatch import INVOICE
from gateway.pipeline.entities import ignored
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from storage.records import EntityMapping, JobStatus, MappingStatus


class WriteBack(Stage):
    """The stage `write_back`."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises GatewayError kinds."""
        mapping = work.claimed.mapping
        if mapping is None or mapping.status is not MappingStatus.LINKED or mapping.provider_entity_id is None:
            return ignored("the mapping is no longer linked")
        wrote = await self._tell(work, mapping, mapping.provider_entity_id)
        if wrote is None:
            return ignored("the platform has no place for the link")
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", written_back=mapping.held,
            decision={"decision": "write_back", "why": "written" if wrote else "was there already"},
        )  # fmt: skip

    async def _tell(self, work: Work, mapping: EntityMapping, record: str) -> bool | None:
        """Return whether something had to be written, None where the platform has no place for it."""
        source, synced_at = work.source, mapping.synced_at or self.now()
        if mapping.entity_type != INVOICE:
            return await source.write_back(
                customer_id=mapping.entity_id, connector=mapping.connector, provider_entity_id=record,
                synced_at=synced_at,
            )  # fmt: skip
        details = mapping.details if isinstance(mapping.details, dict) else {}
        return await source.write_back_invoice(
            invoice_id=mapping.entity_id, connector=mapping.connector, provider_entity_id=record,
            url=str(details.get("url") or ""), synced_at=synced_at,
        )  # fmt: skip
