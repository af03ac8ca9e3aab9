"""How tests configure a gateway: sources and connections that lead to the rig's simulators."""

from abc import ABC, abstractmethod
from typing import Any

from pydantic import SecretStr

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway import keys
from gateway.app import Gateway
from gateway.configuration.specs import ConnectionSpec, InvoiceSync, SourceSpec
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sources.base import Verification
from tests.ledgers import LedgerNomod
from tests.looking import NOMOD, QUICKBOOKS, Looking, Record

TENANT, ENVIRONMENT = "tenant_123", "prod"
SOURCE, TITHELY, NOMOD_EVENTS = "flexprice-prod", "tithely-main", "nomod-events"


class Configuring(Looking, ABC):
    """Configures sources and connections through the gateway's own service."""

    flexprice: FlexpriceSimulator
    nomod: LedgerNomod
    intuit: QuickBooksSimulator
    secret: str

    @property
    @abstractmethod
    def gateway(self) -> Gateway:
        """The gateway through which is configured."""

    async def add_flexprice(self, name: str = SOURCE, *, platform: str = "flexprice", **spec: Any) -> None:
        """Configure Flexprice as a source whose webhooks this rig signs."""
        await self.put_source(
            SourceSpec(
                **{
                    "name": name, "platform": platform, "tenant_id": TENANT, "environment_id": ENVIRONMENT,
                    "verification": Verification.STANDARD_WEBHOOKS, "secrets": (SecretStr(self.secret),),
                    "api_url": self.flexprice.api_url, "api_key": SecretStr(self.flexprice.api_key), **spec,
                }
            )
        )  # fmt: skip

    async def add_nomod(
        self, name: str = NOMOD, *, outbound: bool = True, invoices: bool = False, **config: Any
    ) -> None:
        """Configure the simulated Nomod as a connection; without `invoices` for customers only."""
        known = {
            "api_key": self.nomod.api_key, "base_url": self.nomod.url, "requests_per_second": 100, "concurrency": 16,
            "timeout_seconds": 2,
        }  # fmt: skip
        await self._put_connection(name, "nomod", {**known, **config}, outbound=outbound, invoices=invoices)

    async def add_quickbooks(
        self, name: str = QUICKBOOKS, *, outbound: bool = True, invoices: bool = False, **config: Any
    ) -> None:
        """Configure the simulated QuickBooks as a connection, with a consent that was just given."""
        _, refresh_token = self.intuit.issue_tokens()
        known = {
            "client_id": self.intuit.client_id, "client_secret": self.intuit.client_secret, "environment": "sandbox",
            "realm_id": self.intuit.realm_id, "refresh_token": refresh_token, "base_url": self.intuit.base_url,
            "authorize_url": self.intuit.authorize_url, "token_url": self.intuit.token_url,
            "revoke_url": self.intuit.revoke_url, "timeout_seconds": 2,
        }  # fmt: skip
        await self._put_connection(name, "quickbooks", {**known, **config}, outbound=outbound, invoices=invoices)

    async def add_tithely(self, name: str = TITHELY, **spec: Any) -> None:
        """Configure Tithely as a source whose envelopes this rig signs."""
        await self.put_source(
            SourceSpec(
                **{
                    "name": name, "platform": "tithely", "tenant_id": TENANT, "environment_id": ENVIRONMENT,
                    "verification": Verification.STANDARD_WEBHOOKS, "secrets": (SecretStr(self.secret),), **spec,
                }
            )
        )  # fmt: skip

    async def add_nomod_events(self, name: str = NOMOD_EVENTS, *, connection: str = NOMOD, report: bool = True) -> None:
        """Configure Nomod's webhooks about payments as a source that this rig signs."""
        await self.put_source(
            SourceSpec(
                name=name, platform="nomod", tenant_id=TENANT, environment_id=ENVIRONMENT,
                verification=Verification.STANDARD_WEBHOOKS, secrets=(SecretStr(self.secret),),
                options={"connection": connection, "report": report},
            )
        )  # fmt: skip

    async def put_source(self, spec: SourceSpec) -> None:
        """Store a source, and have the gateways take it up."""
        await self.gateway.app[keys.CONFIGURATION].put_source(spec, actor="tests")
        await self.refresh()

    async def _put_connection(
        self, name: str, connector: str, config: Record, *, outbound: bool, invoices: bool
    ) -> None:
        spec = ConnectionSpec(
            name=name, connector=connector, tenant_id=TENANT, environment_id=ENVIRONMENT,
            invoice_sync=InvoiceSync(outbound=outbound, customer_only=not invoices), config=config,
        )  # fmt: skip
        await self.gateway.app[keys.CONFIGURATION].put_connection(spec, actor="tests")
        await self.refresh()

    async def pause(self, connection: str) -> None:
        """Pause a connection as an operator does."""
        await self._set_status(connection, "paused")

    async def resume(self, connection: str) -> None:
        """Resume a connection as an operator does."""
        await self._set_status(connection, "active")

    async def remove(self, connection: str) -> None:
        """Remove a connection as an operator does."""
        await self._set_status(connection, "removed")

    async def _set_status(self, connection: str, status: str) -> None:
        await self.store.set_connection_status(connection, status=status, now=self.now())
        await self.refresh()
