"""What the conformance kit is told about Xero."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.testing import Clock, Harness, Record, State

from ledgergate_xero.connector import XeroConnector
from ledgergate_xero.simulator import CLIENT_ID, CLIENT_SECRET, TENANT, XeroSimulator


class XeroHarness(Harness):
    """Xero, simulated, with a refresh token for a set-up without a browser."""

    connector = XeroConnector
    filters = ("searchTerm", "IDs")
    states = frozenset({State.INACTIVE})
    absent_id = "00000000-0000-4000-8000-00000000dead"
    older_configs = ({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "tenant_id": TENANT},)

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.xero = XeroSimulator(clock=clock.unix)
        self.service = self.xero

    def config(self, url: str) -> Mapping[str, Any]:
        """Return the app, the organisation, and a token of a consent just given."""
        return {
            "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "tenant_id": TENANT,
            "refresh_token": self.xero.issue_tokens(), "base_url": url, "identity_url": url, "login_url": url,
            "timeout_seconds": 0.5,
        }  # fmt: skip

    def records(self) -> Sequence[Record]:
        """Return the contacts."""
        return [
            Record(
                record_id=row["ContactID"],
                name=row["Name"],
                emails=(row["EmailAddress"],) if row["EmailAddress"] else (),
                state=State.ACTIVE if row["ContactStatus"] == "ACTIVE" else State.INACTIVE,
            )
            for row in self.xero.contacts.values()
        ]

    def seed(self, *, name: str, email: str, state: State = State.ACTIVE) -> str:
        """Put in a contact, archived where that is asked for."""
        status = "ARCHIVED" if state is State.INACTIVE else "ACTIVE"
        return str(self.xero.add(name=name, email=email, status=status)["ContactID"])

    def refusal(self, words: str) -> bytes:
        """Return a validation exception that says `words`."""
        elements = [{"ValidationErrors": [{"Message": words}]}]
        return json.dumps({"ErrorNumber": 10, "Type": "ValidationException", "Elements": elements}).encode()

    def expire_tokens(self) -> bool:
        """End every access token."""
        self.xero.expire_access_tokens()
        return True

    def secrets(self) -> Sequence[str]:
        """Return every token."""
        return self.xero.tokens
