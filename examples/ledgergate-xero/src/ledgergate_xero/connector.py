"""The Xero connector: contacts found by e-mail address, name and number, and created with PUT.

https://developer.xero.com/documentation/api/accounting/contacts. PUT creates; POST creates too, but changes the contact
that has this name already, whoever that is: it is never used here.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from connectors import (
    Account,
    AuthenticationError,
    Candidate,
    ConfigurationError,
    Connector,
    ConnectorError,
    Consent,
    Created,
    CreateIntent,
    Customer,
    DuplicateRefusedError,
    Host,
    JsonApi,
    Limits,
    NeedsReauthError,
    OAuthConsent,
    Recovery,
    RejectedError,
    Reply,
    Tokens,
    UnexpectedResponseError,
    classify,
)

from ledgergate_xero.config import XeroConfig
from ledgergate_xero.contacts import (
    GUID,
    VARIANTS,
    candidate_of,
    concerns,
    draft_of,
    email_of,
    name_of,
    names_of,
    number_of,
    rows_in,
)
from ledgergate_xero.tokens import XeroTokens

CONTACTS = "/api.xro/2.0/Contacts"
PAGE_SIZE = 100
MOST_PAGES = 50
SCOPES = "offline_access accounting.contacts accounting.settings.read"
_TAKEN = b"already assigned to another contact"


class XeroConnector(Connector[XeroConfig], OAuthConsent):
    """Customers in Xero, which calls them contacts."""

    name = "xero"
    title = "Xero"
    makes = "Customers, as contacts."
    config_model = XeroConfig
    variants = VARIANTS
    marks_records = True

    def __init__(self, config: XeroConfig, host: Host) -> None:
        super().__init__(config, host)
        self._api = JsonApi(host, config.base_url, timeout=config.timeout_seconds)
        self._tokens = XeroTokens(config, host)

    # Contacts --------------------------------------------------------------------------------------------------

    def validate_customer(self, customer: Customer) -> None:
        """Refuse a customer with neither a name nor an e-mail address (MissingFieldsError)."""
        name_of(customer)

    async def find_customers(self, customer: Customer, *, intent: CreateIntent | None = None) -> Sequence[Candidate]:
        """Return the contacts with this address, number or name, archived ones too.

        `searchTerm` looks at names, ContactNumber and EmailAddress, whatever the case. How it takes words apart is not
        written anywhere, so each is asked for by itself, and every row is compared here.
        """
        terms = [email_of(customer), number_of(customer.reference), name_of(customer)]
        if intent is not None:
            terms += names_of(customer)
        rows: dict[str, Mapping[str, Any]] = {}
        for term in dict.fromkeys(term for term in terms if term):
            rows |= {row["ContactID"]: row for row in await self._list({"searchTerm": term})}
        held = name_of(customer, intent.variant) if intent is not None else ""
        return [candidate_of(row, customer, held=held) for row in rows.values() if concerns(row, customer)]

    async def get_customer(self, provider_entity_id: str) -> Candidate | None:
        """Return a contact by id. A list of one is asked for: an empty one is a certain no, which a 404 is not."""
        if not GUID.fullmatch(provider_entity_id):
            return None
        rows = await self._list({"IDs": provider_entity_id})
        found = [row for row in rows if row["ContactID"].casefold() == provider_entity_id.casefold()]
        return candidate_of(found[0]) if found else None

    async def create_customer(self, customer: Customer, *, intent: CreateIntent) -> Created:
        """Create the contact, under the host's idempotency key and the name of the intent's variant."""
        draft = draft_of(customer, variant=intent.variant)
        reply = await self._authorised(
            "PUT", CONTACTS, body=orjson.dumps(draft.body), headers={"Idempotency-Key": intent.key},
            sort=_classify_create,
        )  # fmt: skip
        rows = rows_in(reply.json())
        if len(rows) != 1:
            raise UnexpectedResponseError(f"a create of one contact was answered with {len(rows)}")
        return Created(provider_entity_id=rows[0]["ContactID"], warnings=draft.warnings)

    async def _list(self, query: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Read a list of contacts to its end. Raises UnexpectedResponseError where that is too far away."""
        rows: list[Mapping[str, Any]] = []
        for page in range(1, MOST_PAGES + 1):
            asked = {**query, "includeArchived": "true", "page": str(page), "pageSize": str(PAGE_SIZE)}
            found = rows_in((await self._read(f"{CONTACTS}?{urlencode(asked, quote_via=quote)}")).json())
            rows += found
            if len(found) < PAGE_SIZE:
                return rows
        raise UnexpectedResponseError(f"more than {MOST_PAGES * PAGE_SIZE} contacts would have to be read")

    # The account -----------------------------------------------------------------------------------------------

    async def check(self) -> Account:
        """Read the organisation behind the tenant."""
        body = (await self._read("/api.xro/2.0/Organisation")).json()
        found = body.get("Organisations") if isinstance(body, dict) else None
        first = found[0] if isinstance(found, list) and found else None
        name = first.get("Name") if isinstance(first, dict) else None
        if not isinstance(name, str) or not name:
            raise UnexpectedResponseError("the answer names no organisation")
        return Account(account_id=self._tokens.tenant, name=name)

    def limits(self) -> Limits:
        """Return a little less than Xero's 60 calls a minute and 5 at a time for one organisation.

        https://developer.xero.com/documentation/guides/oauth2/limits/#api-rate-limits; 5,000 a day come on top.
        """
        return Limits(per_second=4.0, per_minute=55.0, concurrency=4)

    def recovery(self) -> Recovery:
        """Return how a lost answer is settled: by the same key at first, by looking afterwards."""
        window = timedelta(seconds=self.config.replay_seconds) if self.config.replay_seconds else None
        return Recovery(replay_window=window, lookups=self.config.recovery_lookups)

    def idempotency_scope(self) -> str:
        """Return the organisation."""
        return self._tokens.tenant

    def console_url(self, provider_entity_id: str) -> str | None:
        """Return the contact's page in Xero."""
        return f"https://go.xero.com/Contacts/View/{provider_entity_id}"

    def settings_summary(self) -> Mapping[str, str]:
        """Return the organisation."""
        return {"tenant_id": self._tokens.tenant}

    async def maintain(self) -> None:
        """Keep idle tokens alive."""
        await self._tokens.keep_alive()

    # Consent ---------------------------------------------------------------------------------------------------

    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        """Return Xero's consent page."""
        query = {
            "response_type": "code", "client_id": self.config.client_id, "redirect_uri": redirect_uri,
            "scope": SCOPES, "state": state,
        }  # fmt: skip
        return f"{self.config.login_url}/identity/connect/authorize?{urlencode(query, quote_via=quote)}"

    async def exchange(self, *, params: Mapping[str, str], redirect_uri: str) -> Consent:
        """Turn the callback's query into tokens and the organisation that they are for.

        A consent may cover several organisations: then `tenant_id` must say which.
        """
        if params.get("error"):
            raise AuthenticationError("the person did not agree to the connection")
        if not params.get("code"):
            raise ConfigurationError("Xero's answer lacks the code")
        tokens = await self._tokens.exchange(params["code"], redirect_uri)
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        found = (await self._api.request("GET", "/connections", headers=headers)).json()
        tenants = {
            str(each["tenantId"]): str(each.get("tenantName") or "")
            for each in (found if isinstance(found, list) else [])
            if isinstance(each, dict) and each.get("tenantId") and each.get("tenantType") == "ORGANISATION"
        }
        wanted = self.config.tenant_id or (next(iter(tenants)) if len(tenants) == 1 else "")
        if wanted not in tenants:
            raise ConfigurationError(
                f"the consent covers {len(tenants)} organisations: say in tenant_id which is meant"
            )
        self._tokens.known = None
        chosen = Tokens(
            refresh_token=tokens.refresh_token, access_token=tokens.access_token,
            access_expires_at=tokens.access_expires_at, refreshed_at=tokens.refreshed_at, realm=wanted,
        )  # fmt: skip
        return Consent(tokens=chosen, account_id=wanted, account_name=tenants[wanted])

    async def revoke(self) -> None:
        """Revoke the tokens at Xero."""
        await self._tokens.revoke()

    # Requests --------------------------------------------------------------------------------------------------

    async def _read(self, path: str) -> Reply:
        """Send a look-up. One that is refused says nothing about the customer, so it is no RejectedError."""
        try:
            return await self._authorised("GET", path)
        except RejectedError as error:
            raise UnexpectedResponseError(f"{error.detail} for a look-up") from error

    async def _authorised(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        sort: Any = classify,
    ) -> Reply:
        """Send a request; once more only where Xero says that the access token was too old, which does nothing."""
        tokens = await self._tokens.access()
        for again in (False, True):
            tenant = self.config.tenant_id or tokens.realm
            if not tenant:
                raise ConfigurationError("tenant_id is missing: a refresh token alone does not name the organisation")
            sent = {"Authorization": f"Bearer {tokens.access_token}", "xero-tenant-id": tenant, **(headers or {})}
            try:
                return await self._api.request(method, path, body=body, headers=sent, classify=sort)
            except AuthenticationError as error:
                if again:
                    raise NeedsReauthError("Xero refuses fresh tokens: the app was disconnected") from error
                tokens = await self._tokens.access(refused=tokens.access_token)
        raise AssertionError("the loop returns or raises")


def _classify_create(reply: Reply) -> ConnectorError | None:
    """Sort the answer to a create: a name that is taken is told by its words alone (ErrorNumber 10)."""
    if reply.status == 400 and _TAKEN in reply.body:
        return DuplicateRefusedError("the name is taken by another contact", provider_code="10")
    return classify(reply)
