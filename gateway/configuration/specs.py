"""The shapes of sources and connections in TOML and in the API. Unknown keys are refused; errors name the place."""

import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from gateway.errors import ConfigFileError
from gateway.sources.base import PollConfig, Verification, verifier_of
from gateway.sources.signing import SecretInvalidError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
MAX_SECRETS = 8


def _checked_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = "must be 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
        raise ValueError(msg)
    return value


def _checked_url(value: str | None) -> str | None:
    if value is not None and not value.startswith(("http://", "https://")):
        msg = "must begin with http:// or https://"
        raise ValueError(msg)
    return value.rstrip("/") if value else None


Name = Annotated[str, AfterValidator(_checked_name)]
Scoped = Annotated[str, Field(min_length=1, max_length=255)]
Url = Annotated[str | None, AfterValidator(_checked_url)]


class Spec(BaseModel):
    """Base: frozen, strict about unknown keys, and silent about values in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class InvoiceSync(Spec):
    """What finalized invoices bring to the connection."""

    outbound: bool = Field(
        default=False, description="Finalized invoices are made here, with their customers, where the connector can."
    )
    customer_only: bool = Field(default=False, description="Only the customers are made; never an invoice.")


class SourceSpec(Spec):
    """One source."""

    name: Name = Field(description="Name, also the last part of the webhook's URL.")
    platform: str = Field(
        description="`flexprice`, `tirdad`, `tithely`; `nomod`, `quickbooks` for payments; or a plugin's name."
    )
    tenant_id: Scoped = Field("default", description="Tenant that the source belongs to.")
    environment_id: Scoped = Field("prod", description="Environment that the source belongs to.")
    verification: Verification = Field(
        Verification.STANDARD_WEBHOOKS, description="`standard-webhooks`, `static-header` or `intuit-signature`."
    )
    secrets: tuple[SecretStr, ...] = Field(
        min_length=1, max_length=MAX_SECRETS, description="Signing secrets or tokens; all are tried, for rotation."
    )
    header: str | None = Field(None, description="Header that holds the token; `static-header` only.")
    api_url: Url = Field(None, description="Base address of the platform's API.")
    api_key: SecretStr | None = Field(None, description="Key for the platform's API.")
    poll: PollConfig | None = Field(None, description="Polling of Tithely's charges; off when absent.")
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of the platform's adapter.")

    @model_validator(mode="after")
    def _usable(self) -> "SourceSpec":
        secrets = [secret.get_secret_value() for secret in self.secrets]
        try:
            if self.header is not None and self.verification is not Verification.STATIC_HEADER:
                msg = "header is for verification = static-header only"
                raise ValueError(msg)
            verifier_of(self.verification, secrets, header=self.header)
        except SecretInvalidError as error:
            msg = f"secrets: {error}"
            raise ValueError(msg) from None
        return self


class ConnectionSpec(Spec):
    """One connection. `config` is checked against the connector's own model."""

    name: Name = Field(description="Name of the connection.")
    connector: str = Field(description="`nomod`, `quickbooks`, or a plugin's name.")
    tenant_id: Scoped = Field("default", description="Tenant that the connection belongs to.")
    environment_id: Scoped = Field("prod", description="Environment that the connection belongs to.")
    invoice_sync: InvoiceSync = Field(default_factory=InvoiceSync, description="See `outbound`.")
    config: dict[str, Any] = Field(default_factory=dict, description="The connector's own settings.")


SpecT = TypeVar("SpecT", bound=BaseModel)


def parse_spec(kind: type[SpecT], raw: object, *, where: str = "") -> SpecT:
    """Return the checked spec. Raises ConfigFileError with one line that says what and where, never a value."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigFileError(problem_line(error, where)) from None


def problem_line(error: ValidationError, where: str) -> str:
    """Return the first problem in one line: where it is and what, never a value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ""
    for part in first["loc"]:
        place += f"[{part}]" if isinstance(part, int) else (f".{part}" if place else str(part))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "is missing"
    return ": ".join(part for part in (where, place, message) if part)
