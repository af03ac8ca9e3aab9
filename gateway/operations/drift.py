"""Drift: what the last scan of each connection has found, and a scan on demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import Field

from gateway.operations.acting import Desk
from gateway.operations.views import View
from gateway.pipeline.drift import REPORT, DriftScan
from gateway.registry import Registry
from gateway.upkeep import DRIFT_EVERY, LAST_DRIFT
from storage.errors import ConflictError, NotFoundError
from storage.records import EVERYWHERE, ConnectionRow, Scope


class DriftFinding(View):
    """A linked record that is not as the link says."""

    kind: str = Field(description="`gone` (or merged), `inactive`, `renamed` or `doubled`.")
    source: str
    entity_id: str
    provider_entity_id: str
    fields: Sequence[str] = Field(description="Of a renamed record: `name`, `email`.")
    other: str | None = Field(description="Of a doubled record: the other one with the same e-mail address.")


class DriftSummary(View):
    """What the last scan of a connection came to."""

    connection: str
    connector: str
    begun_at: datetime | None = Field(description="Null before the first scan.")
    ended_at: datetime | None
    error: str | None = Field(description="The code of what has ended the scan before all was seen.")
    checked: int
    gone: int = Field(description="Each is before a person as a review.")
    inactive: int = Field(description="Each is before a person as a review, or made active as the setting says.")
    renamed: int
    doubled: int
    next_at: datetime = Field(description="When the next scan is due.")


class DriftDetail(DriftSummary):
    """The same with the findings, up to 500."""

    findings: Sequence[DriftFinding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifts(Desk):
    """The use-cases of drift."""

    registry: Registry

    async def list(self, scope: Scope = EVERYWHERE) -> Sequence[DriftSummary]:
        """Return the last report of each connection, by name."""
        return [DriftSummary(**_counts(*await self._report(row))) for row in await self.store.list_connections(scope)]

    async def get(self, name: str, scope: Scope = EVERYWHERE) -> DriftDetail:
        """Return a connection's last report with its findings. Raises NotFoundError."""
        row, told, next_at = await self._report(await self._row(name, scope))
        found = [
            DriftFinding(
                kind=each["kind"], source=each["source"], entity_id=each["entity_id"],
                provider_entity_id=each["record"], fields=each["fields"], other=each["other"],
            )
            for each in told.get("findings", [])
        ]  # fmt: skip
        return DriftDetail(**_counts(row, told, next_at), findings=found)

    async def scan(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> DriftDetail:
        """Look at every linked record now, within the provider's budget: it may take hours.

        Raises NotFoundError, ConflictError for a paused connection, ConnectorError kinds when the provider fails.
        """
        row = await self._row(name, scope)
        if row.status != "active":
            raise ConflictError(f"connection {name} is paused: {row.pause_reason}")
        home = Scope(tenant_id=row.tenant_id, environment_id=row.environment_id)
        await self.note(actor, "connection.drift_scanned", name, home, None)
        await self.store.put_fact(f"connection:{name}", LAST_DRIFT, self.now().isoformat(), now=self.now())
        await DriftScan(store=self.store, now=self.now).run(self.registry.connection(name))
        self.wake()
        return await self.get(name, scope)

    async def _row(self, name: str, scope: Scope) -> ConnectionRow:
        for row in await self.store.list_connections(scope):
            if row.name == name:
                return row
        msg = f"there is no connection {name!r}"
        raise NotFoundError(msg)

    async def _report(self, row: ConnectionRow) -> tuple[ConnectionRow, dict[str, Any], datetime]:
        kept = await self.store.get_fact(f"connection:{row.name}", REPORT)
        last = await self.store.get_fact(f"connection:{row.name}", LAST_DRIFT)
        since = datetime.fromisoformat(last) if last else row.created_at
        told = orjson.loads(kept) if kept else {}
        if told and datetime.fromisoformat(told["begun_at"]) < row.created_at - timedelta(seconds=1):
            told = {}  # of an earlier connection of this name
        return row, told, since + DRIFT_EVERY


def _counts(row: ConnectionRow, told: dict[str, Any], next_at: datetime) -> dict[str, Any]:
    counts = told.get("counts", {})
    return {
        "connection": row.name, "connector": row.connector, "begun_at": told.get("begun_at"),
        "ended_at": told.get("ended_at"), "error": told.get("error"), "checked": told.get("checked", 0),
        "next_at": next_at, **{kind: counts.get(kind, 0) for kind in ("gone", "inactive", "renamed", "doubled")},
    }  # fmt: skip
