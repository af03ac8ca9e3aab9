"""What only the Xero connector does: names that are taken, contacts that POST would change, a person's consent."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from connectors import AuthenticationError, CreateIntent, Customer, DuplicateRefusedError, Host
from connectors.testing import Clock, MemoryTokens

from ledgergate_xero import XeroConfig, XeroConnector
from ledgergate_xero.simulator import CLIENT_ID, CLIENT_SECRET, TENANT, XeroSimulator

CALLBACK = "https://gateway.example/oauth/callback"


def customer(**fields: Any) -> Customer:
    """Return a customer, with these fields instead."""
    known = {"customer_id": "cust_1", "name": "Ada Lovelace", "email": "ada@example.com"}
    return Customer(**{"source": "billing", "platform": "flexprice", "environment_id": "prod", **known, **fields})


def intent(variant: int = 0) -> CreateIntent:
    """Return the note of a create."""
    return CreateIntent(key=f"key-{variant}", variant=variant, started_at=Clock().now())


@asynccontextmanager
async def connected(*, consent: bool = False) -> AsyncIterator[tuple[XeroSimulator, XeroConnector]]:
    """Start a Xero and connect to it: with a refresh token, or not yet."""
    clock = Clock()
    async with XeroSimulator(clock=clock.unix) as xero, aiohttp.ClientSession() as session:
        known = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        known |= dict.fromkeys(("base_url", "identity_url", "login_url"), xero.url)
        if not consent:
            known |= {"tenant_id": TENANT, "refresh_token": xero.issue_tokens()}
        host = Host(connection="test", session=session, now=clock.now, sleep=clock.sleep, tokens=MemoryTokens())
        yield xero, XeroConnector(XeroConfig.model_validate(known), host)


async def test_a_create_sends_these_fields_under_the_host_s_key() -> None:
    """PUT, one contact, the key as a header, the organisation as a header."""
    async with connected() as (xero, connector):
        await connector.create_customer(customer(given_name="Ada", family_name="Lovelace", name=""), intent=intent())
        (call,) = xero.calls_of("PUT *")
    assert json.loads(call.body) == {
        "Contacts": [
            {
                "Name": "Ada Lovelace",
                "FirstName": "Ada",
                "LastName": "Lovelace",
                "EmailAddress": "ada@example.com",
                "ContactNumber": "lg:billing:cust_1",
            }
        ]
    }
    assert (call.headers["Idempotency-Key"], call.headers["xero-tenant-id"]) == ("key-0", TENANT)


async def test_a_namesake_is_never_changed() -> None:
    """The name is taken: the create is refused, the holder is told apart, and another name is free."""
    async with connected() as (xero, connector):
        holder = xero.add(name="ADA LOVELACE", email="other@example.com")
        with pytest.raises(DuplicateRefusedError):
            await connector.create_customer(customer(), intent=intent())
        found = await connector.find_customers(customer(), intent=intent())
        assert [(each.provider_entity_id, each.holds_name) for each in found] == [(holder["ContactID"], True)]
        await connector.create_customer(customer(), intent=intent(1))
        assert [row["Name"] for row in xero.contacts.values()] == ["ADA LOVELACE", "Ada Lovelace (customer)"]
        assert holder["EmailAddress"] == "other@example.com"
        assert xero.calls_of("POST /api.xro/*") == []


async def test_an_address_that_xero_does_not_take_is_left_out_and_told() -> None:
    """Umlauts are not supported in EmailAddress."""
    async with connected() as (xero, connector):
        created = await connector.create_customer(customer(email="jürgen@example.com"), intent=intent())
        assert created.warnings == ("e-mail address omitted: Xero does not take this form",)
        assert xero.contacts[created.provider_entity_id]["EmailAddress"] == ""


async def test_a_person_connects_an_organisation() -> None:
    """From the consent page to tokens that work, without any of it in the config."""
    async with connected(consent=True) as (xero, connector), aiohttp.ClientSession() as browser:
        page = connector.authorize_url(state="state-1", redirect_uri=CALLBACK)
        async with browser.get(page, allow_redirects=False) as answer:
            sent_back = dict(answer.headers["Location"].partition("?")[2].split("&")[i].split("=", 1) for i in range(2))
        assert sent_back["state"] == "state-1"
        consent = await connector.exchange(params=sent_back, redirect_uri=CALLBACK)
        assert (consent.account_id, consent.account_name) == (TENANT, "Demo Company (Global)")
        assert connector.host.tokens is not None
        await connector.host.tokens.save(consent.tokens)
        assert (await connector.check()).account_id == TENANT
        assert len(xero.calls_of("POST /connect/token")) == 1
        with pytest.raises(AuthenticationError):
            await connector.exchange(params=sent_back, redirect_uri=CALLBACK)


async def test_a_consent_that_was_refused_is_told_as_such() -> None:
    """The person said no."""
    async with connected(consent=True) as (_, connector):
        with pytest.raises(AuthenticationError):
            await connector.exchange(params={"error": "access_denied"}, redirect_uri=CALLBACK)
