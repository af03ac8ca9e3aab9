"""The gateway's settings: LEDGERGATE_* from the environment and from `.env`. One line names what is wrong."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.errors import SettingError
from gateway.mailing import Relay, checked_address

PREFIX = "LEDGERGATE_"
HOUR = 3600.0
DEFAULT_SCHEDULE = (
    5.0, 30.0, 120.0, 300.0, 900.0, 1800.0, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 8 * HOUR, 12 * HOUR, 12 * HOUR,
    12 * HOUR, 12 * HOUR, 12 * HOUR,
)  # fmt: skip


class Word(StrEnum):
    """One of a few words, in any case: `INFO` is what most programs call it."""

    @classmethod
    def _missing_(cls, value: object) -> "Word | None":
        small = str(value).lower()
        return next((member for member in cls if member == small), None)


class LogFormat(Word):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(Word):
    """The least important line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseSettings):
    """What the process needs before it can read its database. Sources and connections live in the database."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True,
        hide_input_in_errors=True,
    )  # fmt: skip

    database_url: str = Field(
        "sqlite:///./ledgergate.db",
        description="Where the state lives: `sqlite:///FILE` for one machine, `postgresql://…` for several nodes.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    worker_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which `ledgergate worker` answers `/healthz`, `/readyz` and `/metrics`; without it, it "
        "listens on nothing.",
    )
    public_url: str | None = Field(
        None,
        description="The address under which senders and browsers reach the gateway, such as `https://hooks.example`.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Key that encrypts the secrets in the database: at least 12 characters, better 32 random ones.",
    )
    secret_key_file: Path | None = Field(
        None,
        description="File with that key, made at the first start in a folder that is there; without either, one is "
        "made beside the database, mode 0600.",
    )
    admin_key: SecretStr | None = Field(
        None, description="The admin API key, at least 8 characters; without it one is made and printed once."
    )
    max_body_bytes: int = Field(5 * 1024 * 1024, ge=1, le=64 * 1024 * 1024, description="Largest webhook body.")
    workers: int = Field(16, ge=1, le=256, description="How many jobs one process runs at the same time.")
    log_format: LogFormat = Field(LogFormat.JSON, description="`json` or `console`, in any case.")
    log_level: LogLevel = Field(LogLevel.INFO, description="`debug`, `info`, `warning` or `error`, in any case.")
    retention_days: int = Field(
        90,
        ge=1,
        le=36500,
        description="Days after which bodies and headers of deliveries are dropped; keys and ids stay.",
    )
    retry_schedule: Annotated[tuple[float, ...], NoDecode] = Field(
        DEFAULT_SCHEDULE, description="Seconds between the attempts of a job, comma separated."
    )
    lease_seconds: float = Field(
        30.0, ge=0.5, le=3600, description="How long a job belongs to a worker that gives no sign of life."
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Whether providers and platforms may lie on loopback, private or link-local addresses (a sandbox).",
    )

    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server for alerts: `smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`;"
        " `?tls=off` for a relay that needs neither.",
    )
    smtp_from: str | None = Field(None, description="Sender's address of alerts by e-mail.")
    alert_backlog_seconds: float = Field(
        900.0, ge=60, le=7 * 24 * HOUR, description="How long due work may wait before an alert tells of it."
    )
    alert_circuit_seconds: float = Field(
        900.0, ge=60, le=7 * 24 * HOUR,
        description="How long a provider may answer no request, with its circuit open, before an alert tells of it.",
    )  # fmt: skip
    alert_token_days: float = Field(
        14.0, gt=0, le=365, description="How many days before a consent ends an alert tells of it."
    )
    alert_signature_failures: int = Field(
        5, ge=1, le=20, description="How many refused webhooks of one source within 15 minutes an alert tells of."
    )
    alert_repeat_seconds: float = Field(
        HOUR, ge=60, le=7 * 24 * HOUR, description="How long an alert is not repeated, however many more there are."
    )

    @field_validator("retry_schedule", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(","))
        return value

    @field_validator("retry_schedule")
    @classmethod
    def _sane_schedule(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or len(value) > 100 or any(not 0 <= seconds <= 7 * 24 * HOUR for seconds in value):
            msg = "must be 1 to 100 numbers of seconds, none above a week"
            raise ValueError(msg)
        return value

    @field_validator("admin_key")
    @classmethod
    def _usable_admin_key(cls, value: SecretStr | None) -> SecretStr | None:
        return _at_least(value, 8)

    @field_validator("secret_key")
    @classmethod
    def _usable_secret_key(cls, value: SecretStr | None) -> SecretStr | None:
        return _at_least(value, 12)

    @field_validator("secret_key_file")
    @classmethod
    def _folder_is_there(cls, value: Path | None) -> Path | None:
        # What was not mounted, or is mistyped: a key made there would be lost, and every stored secret with it.
        if value is not None and not value.parent.is_dir():
            msg = f"there is no folder {value.parent}"
            raise ValueError(msg)
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value.rstrip("/") if value else None

    @field_validator("smtp_url")
    @classmethod
    def _usable_smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        Relay.parse(value.get_secret_value())
        return value

    @field_validator("smtp_from")
    @classmethod
    def _sender(cls, value: str | None) -> str | None:
        return checked_address(value) if value else None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")) or value == "sqlite:///":
            msg = "must begin with sqlite:/// or postgresql://"
            raise ValueError(msg)
        return value


def _at_least(value: SecretStr | None, characters: int) -> SecretStr | None:
    if value is not None and len(value.get_secret_value().strip()) < characters:
        msg = f"must have at least {characters} characters"
        raise ValueError(msg)
    return value


def load() -> Settings:
    """Read the settings. Raises SettingError that names the setting, never its value."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in _names() if name.startswith(PREFIX) and name not in known)
    if unknown:
        msg = f"{unknown[0]} is not a setting of ledgergate"
        raise SettingError(msg)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        msg = f"{name}: {first['msg'].removeprefix('Value error, ')}"
        raise SettingError(msg) from None
    except (UnicodeDecodeError, OSError) as error:
        msg = f".env cannot be read: {type(error).__name__}"
        raise SettingError(msg) from None


def _names() -> set[str]:
    """Return the names set in the environment and in `.env`."""
    names = {name.upper() for name in os.environ}
    path = Path(".env")
    if path.is_file():
        try:
            lines = path.read_text("utf-8").splitlines()
        except (UnicodeDecodeError, OSError) as error:
            msg = f".env cannot be read: {type(error).__name__}"
            raise SettingError(msg) from None
        for line in lines:
            stripped = line.strip().removeprefix("export ").strip()
            if stripped and not stripped.startswith("#") and "=" in stripped:
                names.add(stripped.split("=", 1)[0].strip().upper())
    return names
