"""Channels: where alerts are told, as people write them, checked, and as rows of the store."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, model_validator
from yarl import URL

from gateway.configuration.specs import Name, Scoped, Spec
from gateway.mailing import checked_address
from gateway.secrets import Vault
from gateway.sources.signing import SecretInvalidError, StandardWebhooksVerifier
from storage.records import ChannelRow

MAX_RECIPIENTS = 20
MAX_CHANNEL_SECRETS = 4
MAX_URL = 2000


class AlertKind(StrEnum):
    """What is told."""

    CONNECTION_PAUSED = "connection_paused"
    CIRCUIT_OPEN = "circuit_open"
    REVIEW_WAITING = "review_waiting"
    DEAD_LETTER = "dead_letter"
    BACKLOG_OLD = "backlog_old"
    TOKEN_EXPIRING = "token_expiring"  # noqa: S105 - a kind of alert, not a token
    SIGNATURE_FAILING = "signature_failing"


Address = Annotated[str, AfterValidator(checked_address)]


class ChannelSpec(Spec):
    """One channel: a URL that takes signed webhooks, or e-mail."""

    name: Name = Field(description="Name of the channel.")
    tenant_id: Scoped = Field("default", description="Tenant of whose alerts it hears.")
    environment_id: Scoped = Field("prod", description="Environment of whose alerts it hears.")
    all_tenants: bool = Field(
        default=False, description="It hears of every tenant and environment; leave the two above out then."
    )
    url: SecretStr | None = Field(
        None, description="Where signed webhooks are posted to; never shown whole, since such URLs are often secret."
    )
    secrets: tuple[SecretStr, ...] = Field(
        (), max_length=MAX_CHANNEL_SECRETS,
        description="With `url`: signing secrets (`whsec_…`). Each message is signed with all of them, for rotation.",
    )  # fmt: skip
    to: tuple[Address, ...] = Field(
        (), max_length=MAX_RECIPIENTS, description="Instead of `url`: e-mail addresses. Needs `LEDGERGATE_SMTP_URL`."
    )
    kinds: tuple[AlertKind, ...] = Field(
        tuple(AlertKind), min_length=1, description="Which alerts it hears of; all when left out."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "ChannelSpec":
        if (self.url is None) == (not self.to):
            raise ValueError("give either url or to")
        if self.all_tenants and self.model_fields_set & {"tenant_id", "environment_id"}:
            raise ValueError("all_tenants: leave out tenant_id and environment_id")
        if self.url is None:
            if self.secrets:
                raise ValueError("secrets: e-mail is not signed; they go with url")
            return self
        checked_hook(self.url.get_secret_value())
        try:
            StandardWebhooksVerifier([secret.get_secret_value() for secret in self.secrets])
        except SecretInvalidError as error:
            msg = f"secrets: {error}"
            raise ValueError(msg) from None
        return self

    @property
    def kind(self) -> str:
        """Return how it is told."""
        return "webhook" if self.url is not None else "email"


def checked_hook(text: str) -> URL:
    """Return a URL to post to. Raises ValueError, whose text does not repeat it."""
    try:
        url = URL(text)
    except ValueError:
        raise ValueError("url: is no URL that can be read") from None
    if url.scheme not in ("http", "https") or not url.host or len(text) > MAX_URL:
        raise ValueError("url: must begin with http:// or https://, name a host, and have at most 2000 characters")
    if url.user is not None or url.password is not None or url.fragment:
        raise ValueError("url: no user, password or fragment goes with a webhook")
    return url


def channel_plain(spec: ChannelSpec) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a channel's public settings and its secrets; the URL is one."""
    settings: dict[str, Any] = {"kinds": sorted(set(spec.kinds))}
    secrets: dict[str, str] = {}
    if spec.url is not None:
        url = spec.url.get_secret_value()
        settings["host"] = str(URL(url).origin())
        secrets = {f"secrets.{index}": secret.get_secret_value() for index, secret in enumerate(spec.secrets)}
        secrets["url"] = url
    else:
        settings["to"] = list(spec.to)
    return settings, secrets


def channel_row(spec: ChannelSpec, vault: Vault, *, now: datetime, before: ChannelRow | None) -> ChannelRow:
    """Return the row of a channel."""
    settings, secrets = channel_plain(spec)
    return ChannelRow(
        name=spec.name, kind=spec.kind, tenant_id=None if spec.all_tenants else spec.tenant_id,
        environment_id=None if spec.all_tenants else spec.environment_id, settings=settings,
        secrets={name: vault.encrypt(f"channel:{spec.name}", name, value) for name, value in secrets.items()},
        created_at=before.created_at if before else now, updated_at=now,
    )  # fmt: skip


def channel_secrets(row: ChannelRow, vault: Vault) -> dict[str, str]:
    """Return a channel's secrets in plain."""
    return {name: vault.decrypt(f"channel:{row.name}", name, value) for name, value in row.secrets.items()}


def signing_secrets(plain: Mapping[str, str]) -> list[str]:
    """Return the secrets that sign, the first one first."""
    return [plain[name] for name in sorted(plain) if name.startswith("secrets.")]
