"""Sources: shown with what was heard of them, put, switched off and on, their secrets rotated, removed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.configuration import rows
from gateway.configuration.service import Configuration
from gateway.configuration.specs import MAX_SECRETS, SourceSpec
from gateway.errors import ConfigFileError, ForbiddenError, GatewayError
from gateway.operations import source_tests
from gateway.operations.secret_use import secrets_used
from gateway.operations.times import stamp
from gateway.pipeline.poll_state import poll_state
from gateway.plugins import source_plugins
from gateway.secrets import Vault
from gateway.sources.base import DEFAULT_HEADER, Verification, fresh_secret, verifier_of
from gateway.sources.signing import SecretInvalidError
from storage import Store
from storage.errors import NotFoundError
from storage.records import EVERYWHERE, Rejection, Scope, SourceActivity, SourceRow


def _rejection_view(rejection: Rejection) -> dict[str, Any]:
    return {
        "time": stamp(rejection.at),
        "reason": rejection.reason,
        "body_bytes": rejection.body_bytes,
        "body_sha256": rejection.body_sha256,
        "headers": rejection.headers,
    }


def source_view(row: SourceRow, activity: SourceActivity, *, public_url: str | None) -> dict[str, Any]:
    """Return what may be shown of a source: that it has secrets, never which."""
    last = activity.last_rejected
    signing = [name for name in row.secrets if name.startswith("secrets.")]
    return {
        "name": row.name,
        "platform": row.platform,
        "tenant_id": row.tenant_id,
        "environment_id": row.environment_id,
        "url": f"{public_url or ''}/webhooks/{row.name}",
        "verification": row.verification,
        "header": row.settings.get("header") or (DEFAULT_HEADER if row.verification == "static-header" else None),
        "status": row.status,
        "api_url": row.settings.get("api_url"),
        "has_api_key": "api_key" in row.secrets,
        "secrets": len(signing),
        "poll": row.settings.get("poll"),
        "options": row.settings.get("options", {}),
        "last_accepted_at": stamp(activity.last_accepted_at),
        "last_rejected": {"time": stamp(last.at), "reason": last.reason} if last else None,
        "rejected": dict(activity.rejected),
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
    }


class Sources:
    """The configured sources. Views never hold a secret."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        configuration: Configuration,
        now: Callable[[], datetime],
        *,
        public_url: str | None = None,
    ) -> None:
        self._store, self._vault, self._configuration, self._now = store, vault, configuration, now
        self._public_url = public_url
        self._plugins = source_plugins()

    async def list(self, scope: Scope = EVERYWHERE) -> list[dict[str, Any]]:
        """Return all sources of the scope, by name."""
        return [await self._view(row) for row in await self._store.list_sources(scope)]

    async def get(self, name: str, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """Return one source with the last refused requests, and the use of its secrets. Raises NotFoundError."""
        row = await self.row(name, scope)
        rejections = [_rejection_view(rejection) for rejection in await self._store.list_rejections(name)]
        view = await self._view(row)
        used = await secrets_used(self._store, row, view["secrets"])
        return {**view, "secrets_used": used, "rejections": rejections}

    async def put(self, spec: SourceSpec, *, actor: str, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """Upsert a source; the view's `change` says `created`, `updated` or `unchanged`, `fields` what differs.

        Raises ConfigFileError, PluginError, and ForbiddenError for another tenant or environment than the scope's.
        """
        require_scope(scope, spec.tenant_id, spec.environment_id)
        change = await self._configuration.put_source(spec, actor=actor)
        return {**await self.get(spec.name, scope), "change": change.change, "fields": list(change.fields)}

    async def rotate_secret(
        self, name: str, scope: Scope = EVERYWHERE, *, new_secret: str | None, keep_old: bool, actor: str
    ) -> str:
        """Put a secret before the others, or with `keep_old=False` in their place, and return it: the one time.

        Without one given a fresh one is made. Kept ones go on being accepted until the sender uses the new one.
        Raises NotFoundError, ConfigFileError for a secret that is too weak.
        """
        row = await self.row(name, scope)
        config = rows.source_config(row, self._vault)
        secret = new_secret if new_secret is not None else fresh_secret(config.verification)
        kept = [old for old in config.secrets if old != secret] if keep_old else []
        signing = [secret, *kept][:MAX_SECRETS]
        check_secrets(config.verification, signing, header=config.header)
        sealed = {field: value for field, value in row.secrets.items() if not field.startswith("secrets.")}
        for index, value in enumerate(signing):
            field = f"secrets.{index}"
            sealed[field] = self._vault.encrypt(f"source:{name}", field, value)
        await self._store.put_source(replace(row, secrets=sealed, updated_at=self._now()))
        await self._audit(actor, "source.secret_rotated", row, {"secrets": len(signing)})
        return secret

    async def disable(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> dict[str, Any]:
        """Answer 404 from now on; what was stored is worked off. Raises NotFoundError."""
        return await self._switch(name, scope, "disabled", actor)

    async def enable(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> dict[str, Any]:
        """Receive again. Raises NotFoundError."""
        return await self._switch(name, scope, "active", actor)

    async def delete(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> None:
        """Remove a source with its secrets; its deliveries, jobs and mappings stay. Raises NotFoundError."""
        row = await self.row(name, scope)
        await self._store.delete_source(name, scope)
        await self._audit(actor, "source.deleted", row, None)

    async def send_test(self, name: str, scope: Scope = EVERYWHERE, *, url: str) -> dict[str, Any]:
        """Sign a harmless event, post it to the gateway at `url`, and tell what became of it. See source_tests.send.

        Raises NotFoundError, GatewayUnreachableError.
        """
        row = await self.row(name, scope)
        return await source_tests.send(rows.source_config(row, self._vault), self._store, url=url, now=self._now)

    async def row(self, name: str, scope: Scope = EVERYWHERE) -> SourceRow:
        """Return a source's row. Raises NotFoundError."""
        for row in await self._store.list_sources(scope):
            if row.name == name:
                return row
        msg = f"there is no source {name!r}"
        raise NotFoundError(msg)

    async def _switch(self, name: str, scope: Scope, status: str, actor: str) -> dict[str, Any]:
        row = await self.row(name, scope)
        if row.status != status:
            row = replace(row, status=status, updated_at=self._now())
            await self._store.put_source(row)
            await self._audit(actor, "source.enabled" if status == "active" else "source.disabled", row, None)
        return await self._view(row)

    async def _view(self, row: SourceRow) -> dict[str, Any]:
        activity = await self._store.source_activity(row.name)
        view = source_view(row, activity, public_url=self._public_url)
        return {**view, "polling": await poll_state(self._store, row.name) or None, "problem": self.problem(row)}

    def problem(self, row: SourceRow) -> str | None:
        """Return why the source cannot receive, None when it can."""
        try:
            self._plugins.load(row.platform)
            config = rows.source_config(row, self._vault)
            check_secrets(config.verification, config.secrets, header=config.header)
        except (GatewayError, ValueError) as error:
            return str(error)
        return None

    async def _audit(self, actor: str, action: str, row: SourceRow, detail: dict[str, Any] | None) -> None:
        await self._store.add_audit(
            actor=actor, action=action, subject=row.name, detail=detail, now=self._now(),
            scope=Scope(tenant_id=row.tenant_id, environment_id=row.environment_id),
        )  # fmt: skip


def check_secrets(verification: Verification | str, secrets: Sequence[str], *, header: str | None) -> None:
    """Refuse secrets that are too weak or of the wrong form. Raises ConfigFileError, which names none of them."""
    try:
        verifier_of(verification, secrets, header=header)
    except SecretInvalidError as error:
        raise ConfigFileError(str(error)) from None


def require_scope(scope: Scope, tenant_id: str, environment_id: str) -> None:
    """Refuse what lies outside of the caller's tenant and environment. Raises ForbiddenError."""
    if (scope.tenant_id or tenant_id) != tenant_id or (scope.environment_id or environment_id) != environment_id:
        raise ForbiddenError
