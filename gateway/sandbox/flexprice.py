"""Stand-in for the Flexprice API and its webhooks on loopback; Tirdad is the same under another name."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable

from gateway.sandbox.flexprice_api import API_KEY
from gateway.sandbox.flexprice_bills import Line
from gateway.sandbox.flexprice_payments import FlexpricePayments
from gateway.sandbox.flexprice_records import Record
from gateway.sandbox.sender import (
    FINALIZED,
    Sent,
    Shape,
    Target,
    WebhookSender,
    customer_event,
    invoice_event,
    payment_event,
)

__all__ = ["API_KEY", "FINALIZED", "FlexpriceSimulator", "Line", "Record", "Shape", "Target", "TirdadSimulator"]


class FlexpriceSimulator(FlexpricePayments):
    """The Flexprice API: customers, invoices, mappings, payments; and the webhooks of its own changes.

    Every option is an attribute too, and may be changed while the service runs. Each write through the API, and each
    `edit_customer`, emits an event: its body goes to `echoes`, and with `deliver_echo` to the `targets` as well.
    """

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        shape: Shape = Shape.SLIM_2026_09,
        targets: Iterable[Target] = (),
        deliver_echo: bool = False,
        sender: WebhookSender | None = None,
        replica_lag: float = 0.0,
        tenant_id: str | None = None,
        environment_id: str | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Make an environment that knows `api_key`; it listens from `start` on.

        `shape` is the version's idea of webhook bodies. `sender` delivers to the `targets`; it is closed with the
        service. `replica_lag` is in seconds of `clock`. `rng` makes ids repeatable.
        """
        super().__init__(
            api_key=api_key,
            clock=clock,
            rng=rng,
            replica_lag=replica_lag,
            tenant_id=tenant_id,
            environment_id=environment_id,
            host=host,
            port=port,
        )
        self.shape = shape
        self.targets = list(targets)
        self.deliver_echo = deliver_echo
        self.sender = sender or WebhookSender(clock=self.time, rng=self.rng)
        self.echoes: list[Record] = []
        self._deliveries: set[asyncio.Task[Sent]] = set()

    def event(self, event_type: str, entity_id: str, *, shape: Shape | None = None) -> Record:
        """Return the body of an event about an invoice, customer or payment.

        It shows the thing as it is now and not as it was at the event, as bodies are built when they are delivered.
        Raises KeyError for an unknown id, ValueError for an event about anything else.
        """
        shape = shape or self.shape
        match event_type.partition(".")[0]:
            case "invoice":
                invoice = self.shown_invoice(self.invoices[entity_id], lag=0)
                return invoice_event(invoice, event_type=event_type, shape=shape)
            case "customer":
                shown = self.shown_customer(self.customers[entity_id])
                return customer_event(shown, event_type=event_type, shape=shape)
            case "payment":
                return payment_event(self.payments[entity_id], event_type=event_type)
            case other:
                raise ValueError(f"no body is known for events about {other}")

    async def send(
        self,
        event_type: str,
        entity_id: str,
        *,
        shape: Shape | None = None,
        message_id: str | None = None,
        tries: int | None = None,
    ) -> list[Sent]:
        """Deliver an event to every target and return what became of it at each."""
        event = self.event(event_type, entity_id, shape=shape)
        sending = (self.sender.send(target, event, message_id=message_id, tries=tries) for target in self.targets)
        return list(await asyncio.gather(*sending))

    async def finalized(self, invoice_id: str, *, shape: Shape | None = None) -> list[Sent]:
        """Deliver `invoice.update.finalized` to every target."""
        return await self.send(FINALIZED, invoice_id, shape=shape)

    def emit(self, event_type: str, entity_id: str) -> None:
        """Publish an event about something that has just changed."""
        event = self.event(event_type, entity_id)
        self.echoes.append(event)
        if self.deliver_echo:
            for target in self.targets:
                task = asyncio.get_running_loop().create_task(self.sender.send(target, event))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    async def settle(self) -> None:
        """Wait until every echo was delivered, or given up."""
        while self._deliveries:
            await asyncio.wait(self._deliveries)

    async def stop(self) -> None:
        """Stop listening, drop the deliveries that are still under way, and close the sender."""
        for task in self._deliveries:
            task.cancel()
        await self.settle()
        await self.sender.close()
        await super().stop()


class TirdadSimulator(FlexpriceSimulator):
    """Tirdad runs Flexprice under its own name: the same paths, bodies and signatures at another address."""
