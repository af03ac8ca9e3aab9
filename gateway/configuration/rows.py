"""Between specs and the store's rows: secrets leave the settings, encrypted, and come back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from connectors.base import ConnectorConfig
from gateway.configuration.specs import ConnectionSpec, SourceSpec, parse_spec
from gateway.errors import ConfigFileError
from gateway.secrets import Vault
from gateway.sources.base import PollConfig, SourceConfig, Verification
from storage.records import ConnectionRow, SourceRow


def secret_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the fields that hold secrets."""
    return frozenset(name for name, field in model.model_fields.items() if _is_secret(field.annotation))


def _is_secret(annotation: Any) -> bool:
    if get_origin(annotation) is None:
        return annotation is SecretStr
    return any(_is_secret(argument) for argument in get_args(annotation))


# Sources -----------------------------------------------------------------------------------------------------------


def source_plain(spec: SourceSpec) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a source's public settings and its secrets."""
    settings: dict[str, Any] = {"api_url": spec.api_url, "header": spec.header, "options": spec.options}
    secrets = {f"secrets.{index}": secret.get_secret_value() for index, secret in enumerate(spec.secrets)}
    if spec.api_key is not None:
        secrets["api_key"] = spec.api_key.get_secret_value()
    if spec.poll is not None:
        settings["poll"] = spec.poll.model_dump(exclude={"private_key"})
        secrets["poll.private_key"] = spec.poll.private_key.get_secret_value()
    return {key: value for key, value in settings.items() if value}, secrets


def source_row(spec: SourceSpec, vault: Vault, *, now: datetime, before: SourceRow | None) -> SourceRow:
    """Return the row of a source."""
    settings, secrets = source_plain(spec)
    return SourceRow(
        name=spec.name, platform=spec.platform, tenant_id=spec.tenant_id, environment_id=spec.environment_id,
        verification=spec.verification, status=before.status if before else "active", settings=settings,
        secrets={name: vault.encrypt(f"source:{spec.name}", name, value) for name, value in secrets.items()},
        created_at=before.created_at if before else now, updated_at=now,
    )  # fmt: skip


def source_secrets(row: SourceRow, vault: Vault) -> dict[str, str]:
    """Return a source's secrets in plain."""
    return {name: vault.decrypt(f"source:{row.name}", name, value) for name, value in row.secrets.items()}


def source_config(row: SourceRow, vault: Vault) -> SourceConfig:
    """Return what a source's adapter is made from."""
    secrets = source_secrets(row, vault)
    signing = [secrets[name] for name in sorted(secrets, key=_position) if name.startswith("secrets.")]
    poll = row.settings.get("poll")
    return SourceConfig(
        name=row.name, platform=row.platform, tenant_id=row.tenant_id, environment_id=row.environment_id,
        verification=Verification(row.verification), secrets=tuple(signing), header=row.settings.get("header"),
        api_url=row.settings.get("api_url"), api_key=secrets.get("api_key"),
        poll=PollConfig(**poll, private_key=SecretStr(secrets["poll.private_key"])) if poll else None,
        options=row.settings.get("options", {}),
    )  # fmt: skip


def _position(name: str) -> int:
    tail = name.rpartition(".")[2]
    return int(tail) if tail.isdigit() else -1


# Connections -------------------------------------------------------------------------------------------------------


def checked_config(model: type[ConnectorConfig], raw: Mapping[str, Any], *, name: str) -> ConnectorConfig:
    """Return the connector's config. Raises ConfigFileError that names the key, never its value."""
    return parse_spec(model, dict(raw), where=f"connection {name}: config")


def connection_plain(spec: ConnectionSpec, model: type[ConnectorConfig]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a connection's public settings and its secrets."""
    config = checked_config(model, spec.config, name=spec.name)
    hidden = secret_fields(model)
    given = {key: value for key, value in spec.config.items() if key not in hidden}
    dumped = config.model_dump(mode="json", include=set(given))
    secrets = {
        key: value.get_secret_value()
        for key in hidden
        if isinstance(value := getattr(config, key, None), SecretStr) and key in spec.config
    }
    sync = spec.invoice_sync
    wanted = {"outbound": sync.outbound, **({"customer_only": True} if sync.customer_only else {})}
    return {"invoice_sync": wanted, "config": dumped}, secrets


def connection_row(
    spec: ConnectionSpec, model: type[ConnectorConfig], vault: Vault, *, now: datetime, before: ConnectionRow | None
) -> ConnectionRow:
    """Return the row of a connection."""
    settings, secrets = connection_plain(spec, model)
    return ConnectionRow(
        name=spec.name, connector=spec.connector, tenant_id=spec.tenant_id, environment_id=spec.environment_id,
        status=before.status if before else "active", pause_reason=before.pause_reason if before else None,
        pause_detail=before.pause_detail if before else None, settings=settings, account=None,
        secrets={name: vault.encrypt(f"connection:{spec.name}", name, value) for name, value in secrets.items()},
        created_at=before.created_at if before else now, updated_at=now,
    )  # fmt: skip


def connection_secrets(row: ConnectionRow, vault: Vault) -> dict[str, str]:
    """Return a connection's secrets in plain."""
    return {name: vault.decrypt(f"connection:{row.name}", name, value) for name, value in row.secrets.items()}


def connection_config(row: ConnectionRow, model: type[ConnectorConfig], vault: Vault) -> ConnectorConfig:
    """Return what a connector is made from. Older configs load as long as the connector's model takes them.

    Raises ConfigFileError.
    """
    raw = {**row.settings.get("config", {}), **connection_secrets(row, vault)}
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, found["loc"])) for found in error.errors(include_input=False)[:3])
        msg = f"connection {row.name}: the stored config does not fit the connector ({places})"
        raise ConfigFileError(msg) from None
