"""The conformance suite of sources as plain pytest: subclass it, fill in one fixture. Needs `ledgergate[testing]`."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import aiohttp
import pytest
from multidict import CIMultiDict

from connectors.errors import ConnectorError
from connectors.invoices import Invoice
from connectors.models import Customer
from connectors.testing import Clock, Fault, FaultKind, Service
from connectors.testing.harness import plain_refusal
from connectors.testing.proxy import FaultProxy
from connectors.testing.rules.lookups import troubles
from gateway.errors import CustomerNotFoundError, GatewayError, PayloadInvalidError
from gateway.sources.base import Confirmed, Event, Source, SourceConfig, SourceHost, Trigger, Verification
from gateway.sources.signing import SignatureRefusedError, new_secret, sign

NAME, EMAIL = "Kanarina Zwitscherling", "kanarina.zwitscherling@example.com"
ABSENT = "nobody-8118"
ODD = (
    b"", b"null", b"[]", b"{}", b"42", b'"text"', b"\x00\xff{", b'{"type": 5}', b'{"event_type": null}', b"[" * 2000,
    b'{"type": "x", "data": []}', b'{"event_type": "x", "invoice": 5}', '{"type": "\u0000"}'.encode(),
)  # fmt: skip


class SourceHarness(ABC):
    """What the suite must be told about a platform. A fresh one is made for every test.

    `service` is the simulated API, made in `__init__`, or None for a platform that has none: its deliveries then say
    all that is known.
    """

    source: ClassVar[type[Source]]
    """The adapter under test."""
    service: Service | None = None

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    @abstractmethod
    def config(self, url: str) -> Mapping[str, Any]:
        """Return the source's settings beside name and secrets: `api_url`, `api_key`, `options`."""

    @abstractmethod
    def add_customer(self, *, name: str, email: str) -> str:
        """Put a customer into the platform; return the id."""

    @abstractmethod
    def trigger(self, customer_id: str) -> bytes:
        """Return the body of a webhook which makes this customer exist everywhere, as the platform sends it."""

    @abstractmethod
    def other(self) -> bytes:
        """Return the body of a webhook that is nobody's business here."""

    def metadata(self, customer_id: str) -> Mapping[str, str]:
        """Return what was written back about a customer, with all else that stands there."""
        del customer_id
        return {}


class Placed:
    """An adapter before its platform."""

    def __init__(self, harness: SourceHarness, source: Source, proxy: FaultProxy, secret: str) -> None:
        self.harness, self.source, self.proxy, self.secret = harness, source, proxy, secret

    def add(self) -> tuple[str, Event]:
        """Add a customer, and return the id with the event of a webhook about it."""
        customer_id = self.harness.add_customer(name=NAME, email=EMAIL)
        return customer_id, self.source.parse(self.harness.trigger(customer_id))


@asynccontextmanager
async def placed(kind: type[SourceHarness]) -> AsyncIterator[Placed]:
    """Start the platform, with a proxy of faults before it, and make the adapter."""
    clock = Clock()
    harness, secret = kind(clock), new_secret()
    proxy = FaultProxy(ids=set, now=clock.now, widened=lambda asked: asked, refusal=plain_refusal)
    if harness.service is not None:
        await harness.service.start()
    try:
        async with proxy, aiohttp.ClientSession() as session:
            proxy.target = harness.service.url if harness.service is not None else ""
            config = SourceConfig(
                name="kit-billing", platform=harness.source.platform, tenant_id="kit", environment_id="prod",
                verification=Verification.STANDARD_WEBHOOKS, secrets=(secret,), **harness.config(proxy.url),
            )  # fmt: skip
            yield Placed(harness, harness.source(config, SourceHost(session=session, now=clock.now)), proxy, secret)
    finally:
        if harness.service is not None:
            await harness.service.stop()


class SourceContract:
    """What every source must hold.

    Example:
        ```python
        class TestAcme(SourceContract):
            @pytest.fixture
            def harness(self) -> type[AcmeHarness]:
                return AcmeHarness
        ```
    """

    @pytest.fixture
    def harness(self) -> type[SourceHarness]:
        """Return the harness's class. Fill this in."""
        raise NotImplementedError("fill in the fixture `harness`: return your SourceHarness class")

    @pytest.mark.asyncio
    async def test_only_a_signed_delivery_is_accepted(self, harness: type[SourceHarness]) -> None:
        """A signature must be there, fresh, of this secret and of these bytes."""
        async with placed(harness) as here:
            body, now = here.harness.trigger("cust_1"), here.harness.clock.unix()
            verifier = here.source.verifier()
            headers = sign(here.secret, message_id="msg_1", timestamp=int(now), body=body)
            assert verifier.verify(CIMultiDict(headers), body, now=now).delivery_key == "msg_1"
            strange = sign(new_secret(), message_id="msg_1", timestamp=int(now), body=body)
            for given, content, moment in (
                ({}, body, now), (headers, body + b" ", now), (headers, body, now + 301), (strange, body, now),
            ):  # fmt: skip
                with pytest.raises(SignatureRefusedError):
                    verifier.verify(CIMultiDict(given), content, now=moment)

    @pytest.mark.asyncio
    async def test_a_trigger_names_the_customer(self, harness: type[SourceHarness]) -> None:
        """The same bytes say the same, nobody is asked for it, and no personal data shows."""
        async with placed(harness) as here:
            body = here.harness.trigger(here.harness.add_customer(name=NAME, email=EMAIL))
            event, again = here.source.parse(body), here.source.parse(body)
            assert event.trigger is not Trigger.NONE
            assert event.customer_id, "parse must say whom a trigger is about, as far as the delivery tells"
            assert event.subject, "parse must name the invoice or transaction"
            assert (again.type, again.subject, again.customer_id) == (event.type, event.subject, event.customer_id)
            assert here.proxy.calls == [], "parse is pure: it asks nobody"
            assert EMAIL not in repr(event)
            assert NAME not in repr(event)

    @pytest.mark.asyncio
    async def test_other_events_are_ignored_with_a_reason(self, harness: type[SourceHarness]) -> None:
        """Platforms send much that is nobody's business, and add types whenever they like."""
        async with placed(harness) as here:
            event = here.source.parse(here.harness.other())
            assert event.trigger is Trigger.NONE
            assert event.reason

    @pytest.mark.asyncio
    @pytest.mark.parametrize("body", ODD)
    async def test_odd_bodies_are_refused_or_ignored(self, harness: type[SourceHarness], body: bytes) -> None:
        """Nothing but PayloadInvalidError comes out of the parser, whatever an authentic sender sends."""
        async with placed(harness) as here:
            try:
                event = here.source.parse(body)
            except PayloadInvalidError:
                return
            assert event.trigger is Trigger.NONE

    @pytest.mark.asyncio
    async def test_a_trigger_becomes_a_customer(self, harness: type[SourceHarness]) -> None:
        """Confirming and reading give the customer as the platform has it, under the source's own name."""
        async with placed(harness) as here:
            customer_id, event = here.add()
            confirmed = await here.source.confirm(event)
            assert isinstance(confirmed, Confirmed)
            customer = await here.source.customer(confirmed.customer_id, event)
            assert (customer.source, customer.customer_id) == ("kit-billing", confirmed.customer_id)
            assert customer.platform == here.source.platform
            assert (customer.full_name, customer.email) == (NAME, EMAIL)
            assert confirmed.customer_id == customer_id
            if not here.source.reads_delivery:
                bare = Event(type="", trigger=event.trigger, subject=event.subject, customer_id=event.customer_id)
                assert await here.source.confirm(bare) == confirmed
                assert await here.source.customer(customer_id, bare) == customer

    @pytest.mark.asyncio
    async def test_a_customer_who_is_not_there_is_told_as_such(self, harness: type[SourceHarness]) -> None:
        """Not found is an answer of its own, and never an empty customer."""
        async with placed(harness) as here:
            _, event = here.add()
            bare = Event(type=event.type, trigger=event.trigger, subject=event.subject, customer_id=ABSENT)
            with pytest.raises(CustomerNotFoundError):
                await here.source.customer(ABSENT, bare)

    @pytest.mark.asyncio
    async def test_a_platform_that_fails_raises_the_gateway_s_own_errors(self, harness: type[SourceHarness]) -> None:
        """Whatever the platform answers, nothing else comes out, and neither secrets nor personal data with it."""
        faults = [trouble.fault for trouble in troubles()] + [Fault(kind=FaultKind.ECHO)]
        errors = await asyncio.gather(*(_errors_under(harness, fault) for fault in faults))
        assert any(errors) or harness(Clock()).service is None, "a platform that fails must not pass for one that works"

    @pytest.mark.asyncio
    async def test_an_invoice_comes_in_decimals_and_is_written_back_once(self, harness: type[SourceHarness]) -> None:
        """Where a platform has invoices, their parts come to their total."""
        async with placed(harness) as here:
            customer_id, event = here.add()
            if not here.source.has_invoices or event.subject is None:
                assert type(here.source).invoice is Source.invoice, "a platform with invoices says so in has_invoices"
                return
            invoice = await here.source.invoice(event.subject)
            assert isinstance(invoice, Invoice), "the invoice of a trigger must have lines and a total"
            assert (invoice.source, invoice.invoice_id, invoice.customer_id) == (
                "kit-billing",
                event.subject,
                customer_id,
            )
            assert invoice.computed_total == invoice.total
            told = {"invoice_id": event.subject, "connector": "nomod", "provider_entity_id": "rec_59", "url": ""}
            written = [
                await here.source.write_back_invoice(**told, synced_at=here.harness.clock.now()) for _ in range(2)
            ]
            assert written in ([True, False], [None, None])
            again = await here.source.invoice(event.subject)
            assert isinstance(again, Invoice)
            assert here.source.invoice_hint(again, "nomod") == ("rec_59" if written[0] else None)

    @pytest.mark.asyncio
    async def test_a_link_is_written_back_once_beside_what_is_there(self, harness: type[SourceHarness]) -> None:
        """The second time nothing has to be written, and no other key is lost."""
        async with placed(harness) as here:
            customer_id, _ = here.add()
            before = dict(here.harness.metadata(customer_id))
            written = [await _write_back(here, customer_id) for _ in range(2)]
            after = dict(here.harness.metadata(customer_id))
            assert written == [here.source.writes_back, False]
            if here.source.writes_back:
                assert after["nomod_customer_id"] == "rec_58"
                assert after["nomod_sync_timestamp"].endswith("Z")
            assert {key: value for key, value in after.items() if not key.startswith("nomod_")} == before


async def _write_back(here: Placed, customer_id: str) -> bool:
    return await here.source.write_back(
        customer_id=customer_id, connector="nomod", provider_entity_id="rec_58", synced_at=here.harness.clock.now()
    )


def _invoice_calls(here: Placed, event: Event) -> Sequence[Coroutine[Any, Any, object]]:
    """Return what asks the platform about an invoice, where it has any."""
    if not here.source.has_invoices or event.subject is None:
        return ()
    written = here.source.write_back_invoice(
        invoice_id=event.subject, connector="nomod", provider_entity_id="rec_59", url="https://pay.example/59",
        synced_at=here.harness.clock.now(),
    )  # fmt: skip
    return (here.source.invoice(event.subject), written)


async def _errors_under(harness: type[SourceHarness], fault: Fault) -> list[str]:
    """Call everything that asks the platform under a fault; return what was raised, in words."""
    told: list[str] = []
    async with placed(harness) as here:
        customer_id, event = here.add()
        here.proxy.faults.add(Fault(kind=fault.kind, status=fault.status, body=fault.body, times=1000))
        for call in (
            here.source.confirm(event),
            here.source.customer(customer_id, event),
            _write_back(here, customer_id),
            *_invoice_calls(here, event),
            here.source.warnings(frozenset({"nomod"})),
        ):
            try:
                found = await call
            except (GatewayError, ConnectorError) as error:
                told.append(f"{error!r} {error.detail}")
            else:
                assert not isinstance(found, Customer) or found.email == EMAIL
        config = here.source.config
        hidden = [text for text in (*config.secrets, config.api_key or "", EMAIL, NAME) if text]
    shown = [text for text in hidden if any(text in words for words in told)]
    assert not shown, "an error quotes a secret or personal data"
    return told
