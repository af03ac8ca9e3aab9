"""The sandbox: every platform and provider simulated on loopback, and a gateway configured for all of them."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from connectors.testing.nomod import NomodSimulator
from connectors.testing.quickbooks import QuickBooksSimulator
from gateway import keys
from gateway.app import Gateway
from gateway.configuration.files import File
from gateway.configuration.specs import ConnectionSpec, InvoiceSync, SourceSpec
from gateway.sandbox.flexprice import FlexpriceSimulator, TirdadSimulator
from gateway.sandbox.sender import Mode, Target, WebhookSender
from gateway.sandbox.tithely import TithelySimulator
from gateway.settings import Settings
from gateway.sources.base import Verification
from gateway.sources.signing import new_secret
from storage import Store

RECOVERY_LOOKUPS = [0.5, 1.5]
RETRY_SCHEDULE = (0.5, 1.0, 2.0, 4.0, 8.0)
BILLING, CHURCH = "acme-billing", "grace-church"
EVENTS = "nomod-events-sandbox"
BILLED = {"tax_item": "VAT", "payment_link": True}


class World:
    """Five simulated services and the gateway between them: `async with World(folder) as world: …`."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.flexprice, self.tirdad, self.tithely = FlexpriceSimulator(), TirdadSimulator(), TithelySimulator()
        self.nomod, self.quickbooks = NomodSimulator(), QuickBooksSimulator()
        self.quickbooks.quirks.home_currency = "AED"
        self.quickbooks.quirks.payments_enabled = True
        self.quickbooks.seed_item("VAT")
        settings = Settings(
            database_url=f"sqlite:///{folder / 'sandbox.db'}", port=port, allow_private_addresses=True,
            retry_schedule=RETRY_SCHEDULE,
        )  # fmt: skip
        self.gateway = Gateway(settings)
        self.sender = WebhookSender(schedule=(0.0, 0.5, 1.0))
        self._secrets = {name: new_secret() for name in ("flexprice", "tirdad", "tithely", "nomod-events")}
        self._stack = AsyncExitStack()

    @property
    def store(self) -> Store:
        """Return the gateway's store."""
        return self.gateway.app[keys.STORE]

    def target(self, source: str) -> Target:
        """Return where a platform sends its webhooks, and how it signs them."""
        platform = source.removesuffix("-sandbox")
        mode = Mode.WEBHOOK if platform == "tithely" else Mode.SVIX
        return Target(url=f"{self.gateway.url}/webhooks/{source}", secrets=(self._secrets[platform],), mode=mode)

    async def __aenter__(self) -> Self:
        """Start the services, then the gateway, then configure it."""
        for service in (self.flexprice, self.tirdad, self.tithely, self.nomod, self.quickbooks):
            await self._stack.enter_async_context(service)
        await self._stack.enter_async_context(self.gateway)
        self._stack.push_async_callback(self.sender.close)
        await self.gateway.app[keys.CONFIGURATION].apply(self._configuration(), actor="sandbox")
        await self.gateway.app[keys.REGISTRY].refresh()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all, the gateway first."""
        await self._stack.aclose()

    def _configuration(self) -> File:
        return File(
            sources=(
                self._billing_source("flexprice", self.flexprice),
                self._billing_source("tirdad", self.tirdad),
                SourceSpec(
                    name="tithely-sandbox", platform="tithely", tenant_id=CHURCH,
                    verification=Verification.STANDARD_WEBHOOKS, secrets=(SecretStr(self._secrets["tithely"]),),
                ),
                SourceSpec(
                    name=EVENTS, platform="nomod", tenant_id=BILLING, verification=Verification.STANDARD_WEBHOOKS,
                    secrets=(SecretStr(self._secrets["nomod-events"]),), options={"connection": "nomod-sandbox"},
                ),
            ),
            connections=(
                ConnectionSpec(
                    name="nomod-sandbox", connector="nomod", tenant_id=BILLING, invoice_sync=InvoiceSync(outbound=True),
                    config={
                        "api_key": self.nomod.api_key, "base_url": self.nomod.url, "recovery_lookups": RECOVERY_LOOKUPS,
                    },
                ),
                self._quickbooks("quickbooks-sandbox", BILLING),
                self._quickbooks("quickbooks-church", CHURCH),
            ),
        )  # fmt: skip

    def _billing_source(self, platform: str, service: FlexpriceSimulator) -> SourceSpec:
        return SourceSpec(
            name=f"{platform}-sandbox", platform=platform, tenant_id=BILLING,
            verification=Verification.STANDARD_WEBHOOKS, secrets=(SecretStr(self._secrets[platform]),),
            api_url=service.api_url, api_key=SecretStr(service.api_key),
        )  # fmt: skip

    def _quickbooks(self, name: str, tenant_id: str) -> ConnectionSpec:
        realm = self.quickbooks.realm_id
        if tenant_id == CHURCH:
            realm = "9130000000000000001"
            self.quickbooks.add_company(realm, "Grace Church")
        _, refresh_token = self.quickbooks.issue_tokens(realm)
        return ConnectionSpec(
            name=name, connector="quickbooks", tenant_id=tenant_id, invoice_sync=InvoiceSync(outbound=True),
            config={
                "client_id": self.quickbooks.client_id, "client_secret": self.quickbooks.client_secret,
                "environment": "sandbox", "realm_id": realm, "refresh_token": refresh_token,
                "base_url": self.quickbooks.base_url, "authorize_url": self.quickbooks.authorize_url,
                "token_url": self.quickbooks.token_url, "revoke_url": self.quickbooks.revoke_url,
                "recovery_lookups": RECOVERY_LOOKUPS, **(BILLED if tenant_id == BILLING else {}),
            },
        )  # fmt: skip
