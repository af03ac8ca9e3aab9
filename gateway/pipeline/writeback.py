"""Telling the platform the provider's id. Idempotent; a failure undoes no mapping, is retried, and is visible."""

from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from storage.records import JobStatus, MappingStatus


class WriteBack(Stage):
    """The stage `write_back`."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises GatewayError kinds."""
        mapping = await self.store.get_mapping(work.mapping_key)
        if mapping is None or mapping.status is not MappingStatus.LINKED or mapping.provider_entity_id is None:
            return Result(
                status=JobStatus.SUCCEEDED, outcome="ignored", job_outcome="ignored",
                reason="the mapping is no longer linked",
            )  # fmt: skip
        wrote = await work.source.write_back(
            customer_id=mapping.entity_id, connector=mapping.connector,
            provider_entity_id=mapping.provider_entity_id, synced_at=mapping.synced_at or self.now(),
        )  # fmt: skip
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", written_back=mapping.key,
            decision={"decision": "write_back", "why": "written" if wrote else "was there already"},
        )  # fmt: skip
