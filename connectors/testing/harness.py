"""What the kit must be told about a connector: its simulated service, the config to reach it, and a few facts."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from connectors.base import Connector
from connectors.invoices import Invoice
from connectors.models import Customer
from connectors.payments import PaymentStatus
from connectors.testing.clock import Clock


class Service(Protocol):
    """A simulated service: `connectors.testing.Simulator`, or anything else that listens on loopback."""

    @property
    def url(self) -> str:
        """Base address, without a slash at the end; known after `start`."""
        ...

    async def start(self) -> Any:
        """Listen on a free loopback port."""
        ...

    async def stop(self) -> None:
        """Stop listening, and cut what is open."""
        ...


class State(StrEnum):
    """What a record at the service may be, beside an active customer."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    """Deactivated or archived: there, and not in use."""
    OTHER = "other"
    """Of another kind that look-ups show as well: a vendor, a sub-customer, an employee."""
    MERGED = "merged"
    """Merged into another record, or deleted and still shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A customer as the service's own ledger has it: the truth against which a connector is judged.

    `name` is whatever the service shows as the customer's name. `state` is `ACTIVE` for a customer in use.
    """

    record_id: str
    name: str = field(default="", repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    state: State = State.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRecord:
    """An invoice as the service's own ledger has it. `total` is what the payer pays; `void` asks for nothing more."""

    record_id: str
    number: str
    customer_record: str
    total: Decimal
    currency: str
    void: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """A payment link as the service's own ledger has it. `amount` is what the payer pays; `active`: it can be paid."""

    record_id: str
    amount: Decimal
    currency: str
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request on its way to the service, as `Harness.widened` may change it."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def plain_refusal(words: str) -> bytes:
    """Return a refusal as many services word it."""
    return json.dumps({"error": {"message": words, "code": "invalid"}, "message": words}).encode()


class Harness(ABC):
    """The one thing that an author fills in. A fresh harness, with a fresh service, is made for every check.

    A subclass makes `self.service` in `__init__` and answers four questions about it: what a connection is told
    (`config`), which customers are there (`records`), how a person puts one in (`seed`), and how a look-up reads to a
    service that ignores its filter (`filters`, or `widened`). The class attributes are facts of the service; their
    values here are what most services are like.

    Example:
        ```python
        class AcmeHarness(Harness):
            connector = AcmeConnector
            filters = ("email",)

            def __init__(self, clock: Clock) -> None:
                super().__init__(clock)
                self.acme = self.service = AcmeSimulator(clock=clock.unix)

            def config(self, url: str) -> dict[str, Any]:
                return {"api_key": self.acme.api_key, "base_url": url, "timeout_seconds": 1}

            def records(self) -> list[Record]:
                return [Record(record_id=c["id"], name=c["name"], emails=(c["email"],)) for c in self.acme.customers]

            def seed(self, *, name: str, email: str, state: State = State.ACTIVE) -> str:
                return self.acme.add(name=name, email=email)
        ```
    """

    connector: ClassVar[type[Connector[Any]]]
    """The connector under test. It must be importable by its module and name: a second process makes one too."""
    service: Service
    """The simulated service, made in `__init__`, not started yet."""
    search_lag: ClassVar[float] = 60.0
    """Seconds for which a new record may hide from look-ups, by the vendor's word or by measurement."""
    deadline: ClassVar[float] = 5.0
    """Seconds of real time within which find, create or check must give up a service that hangs, with `config` as it
    is here. Give the connector a setting for its time limit, and set it low in `config`: the kit really waits."""
    crowd: ClassVar[int] = 120
    """How many strangers to put into the service: more than one page of its lists."""
    states: ClassVar[frozenset[State]] = frozenset()
    """What `seed` can make beside active customers."""
    filters: ClassVar[tuple[str, ...]] = ()
    """Query parameters that narrow the service's lists. Empty only where look-ups do not narrow."""
    absent_id: ClassVar[str] = ""
    """An id of the right form that the service has never given."""
    ignorable: ClassVar[str] = ""
    """Characters that the service cannot hold in a name and the connector takes out, as its page says."""
    pays_parts: ClassVar[bool] = False
    """Whether an invoice can be paid in parts. For a connector with `Payments` and `InvoiceSync`."""
    older_configs: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Configs as earlier versions of the connector took them; every one must still load. Begin with the first."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    @abstractmethod
    def config(self, url: str) -> Mapping[str, Any]:
        """Return the config of a connection whose service is at `url`, secrets as plain text, time limits low.

        Called for every gateway that is connected to the service, after that has started: a service with OAuth gives
        each a consent of its own.
        """

    @abstractmethod
    def records(self) -> Sequence[Record]:
        """Return every record that the service has by now, whatever its state, also what look-ups do not show."""

    @abstractmethod
    def seed(self, *, name: str, email: str, state: State = State.ACTIVE) -> str:
        """Put a record into the service, as a person does in its own application; return its id.

        `state` is `ACTIVE` or one of `states`.
        """

    def dress(self, customer: Customer) -> Customer:
        """Return the customer with what this service needs beside a name and an e-mail address."""
        return customer

    def invoices(self) -> Sequence[InvoiceRecord]:
        """Return every invoice that the service has by now, void ones too. For a connector with `InvoiceSync`."""
        return ()

    def seed_invoice(self, *, number: str, customer_record: str, total: Decimal, currency: str) -> str:
        """Put an invoice into the service, as a person does; return its id. For a connector with `InvoiceSync`.

        `number` is the one under which the connector files invoices.
        """
        msg = f"{type(self).__name__} does not say how an invoice is put in: write seed_invoice"
        raise NotImplementedError(msg)

    def dress_invoice(self, invoice: Invoice) -> Invoice:
        """Return the invoice with what this service needs beside lines and a currency."""
        return invoice

    def links(self) -> Sequence[LinkRecord]:
        """Return every payment link that the service has by now, dead ones too. For a connector with `PaymentLinks`."""
        return ()

    def surcharge(self) -> bool:
        """Have the service ask for more than it is told from now on, as a tax of the account does.

        Return whether it can. For a connector with `PaymentLinks`.
        """
        return False

    def pay_link(self, record_id: str) -> str:
        """Pay a link as the customer does on its page; return the payment's id. For a connector with `PaymentLinks`.

        Raises ValueError where the service would not let the customer pay: the link is off, or was paid before.
        """
        msg = f"{type(self).__name__} does not say how a link is paid: write pay_link"
        raise NotImplementedError(msg)

    def pay_invoice(self, record_id: str, amount: Decimal | None = None) -> str:
        """Pay an invoice, all that is open where no amount is given; return the payment's id.

        For a connector with `Payments` and `InvoiceSync`. Amounts are given only where `pays_parts` says so.
        """
        msg = f"{type(self).__name__} does not say how an invoice is paid: write pay_invoice"
        raise NotImplementedError(msg)

    def unsettled(self, payment_id: str) -> Iterator[PaymentStatus]:
        """Put a payment into each state in which it does not count, one after the other, and yield what it then is.

        For a connector with `Payments`. Example: refunded → `PaymentStatus.RETURNED`.
        """
        msg = f"{type(self).__name__} does not say how a payment is undone: write unsettled"
        raise NotImplementedError(msg)

    def detach(self, payment_id: str) -> None:
        """Make a payment one for nothing that the connector has made: money for something else. For `Payments`."""
        msg = f"{type(self).__name__} does not say what else money may be for: write detach"
        raise NotImplementedError(msg)

    def cards(self) -> Sequence[str]:
        """Return the card data in the service's payments: nothing of it may ever come out. For `Payments`."""
        return ()

    def widened(self, asked: Asked) -> Asked:
        """Return a look-up as a service reads it that ignores its filter. The default takes `filters` out."""
        if asked.method != "GET":
            return asked
        return replace(asked, query=tuple((key, value) for key, value in asked.query if key not in self.filters))

    def refusal(self, words: str) -> bytes:
        """Return the body of the service's refusal (HTTP 400) that says `words`."""
        return plain_refusal(words)

    def expire_tokens(self) -> bool:
        """End the access tokens given so far, where the service has such; return whether it has."""
        return False

    def secrets(self) -> Sequence[str]:
        """Return secrets beside those of the config that must never be shown: tokens that the service has given."""
        return ()
