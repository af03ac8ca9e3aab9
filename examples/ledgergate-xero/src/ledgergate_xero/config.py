"""The settings of a Xero connection."""

from typing import Annotated

from connectors import ConnectorConfig
from pydantic import Field, SecretStr, field_validator
from yarl import URL

Seconds = Annotated[float, Field(gt=0, le=86_400)]
_GUID = r"^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"


class XeroConfig(ConnectorConfig):
    """Config of a connection with one Xero organisation."""

    client_id: str = Field(min_length=1, description="Client ID of your app at developer.xero.com.")
    client_secret: SecretStr = Field(min_length=1, description="Client secret of the app.")
    tenant_id: str = Field(
        "",
        pattern=_GUID,
        description="The organisation's tenant id, for a set-up without a browser; else it comes with the consent.",
    )
    refresh_token: SecretStr | None = Field(
        None, description="Refresh token for a set-up without a browser; used once, then the stored one counts."
    )
    replay_seconds: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="Seconds for which a doubtful create is sent again with the same Idempotency-Key; 0 for never.",
    )
    recovery_lookups: tuple[Seconds, ...] = Field(
        (5.0, 20.0, 60.0, 180.0, 600.0),
        min_length=1,
        description="Seconds after a doubtful create at which the gateway looks again.",
    )
    timeout_seconds: float = Field(30.0, gt=0, le=300, description="Longest time for one request, in seconds.")
    base_url: str = Field("https://api.xero.com", description="Address of the API; another one only for a sandbox.")
    identity_url: str = Field("https://identity.xero.com", description="Address at which tokens are given.")
    login_url: str = Field("https://login.xero.com", description="Address at which people give their consent.")

    @field_validator("base_url", "identity_url", "login_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            url = URL(value)
        except ValueError as error:
            raise ValueError("is not an address") from error
        if url.scheme not in {"http", "https"} or not url.host or url.user or url.query_string or url.fragment:
            raise ValueError("must be https://host (or http:// for a sandbox), without user, query or fragment")
        return value.rstrip("/")
