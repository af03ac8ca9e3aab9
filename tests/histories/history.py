"""A history as a machine of Hypothesis: what may happen, in any order, and what must hold in the end.

Customers sign up, are renamed, move to another address; invoices are finalized, voided, announced late, again, in
disorder, or never; people give, ask for payment links, and pay, here or elsewhere; somebody else makes records at the
providers, or puts them away. Services fail in every way they can, throttle, lag, lose consents. Gateways join, are
killed, and are started again; hours pass, and clocks are set. In the end the faults stop, a careful operator does what
is asked of people, and the invariants must hold.

What a step does depends on numbers drawn for it and on how much was made before, never on how far the gateway has come:
so what Hypothesis has found can be played again, and made smaller.
"""

import asyncio
import contextlib
import itertools
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from connectors.testing.quickbooks_wire import Refusal
from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from gateway.app import Gateway
from storage.errors import StorageError
from tests.harness import NOMOD, QUICKBOOKS
from tests.histories.ground import Ground
from tests.histories.judging import PATIENCE, Made, judge
from tests.histories.paying import Paying
from tests.histories.people import operate, unlink
from tests.histories.steps import first, step
from tests.integration.polling_setup import wake

NAMES = ("Ada Lovelace", "Front Office", "Łukasz Żółć", "O'Connor: Sons")
EMAILS = ("ada@example.com", "ADA@example.com", "office@example.com", "c@example.org", "d@example.org")
ROUTES = (
    ("flexprice", "GET /v1/invoices/*"), ("flexprice", "GET /v1/customers/*"), ("flexprice", "PUT /v1/customers"),
    ("flexprice", "POST /v1/invoices/search"), ("nomod", "GET /v1/customers"), ("nomod", "GET /v1/customers/*"),
    ("nomod", "POST /v1/customers"), ("nomod", "GET /v1/invoices"), ("nomod", "GET /v1/invoices/*"),
    ("nomod", "POST /v1/invoices"), ("nomod", "PATCH /v1/invoices/*/edit"), ("flexprice", "PUT /v1/invoices/*"),
    ("intuit", "GET /v3/company/*/query"), ("intuit", "GET /v3/company/*/customer/*"),
    ("intuit", "POST /v3/company/*/customer"), ("intuit", "POST /v3/company/*/invoice"),
    ("intuit", "GET /v3/company/*/invoice/*"), ("intuit", "POST /oauth2/v1/tokens/bearer"),
)  # fmt: skip
LEASE = 31.0
"""Seconds after which what a dead gateway held is free."""
NODES = 2

names, emails, which = st.sampled_from(NAMES), st.sampled_from(EMAILS), st.integers(0, 7)
lags = st.sampled_from([0.0, 15.0, 400.0])


class History(Paying, RuleBasedStateMachine):
    """One history. See the module's docstring."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.told: list[str] = []
        """The steps taken, as lines of Python."""
        self._ground = ground
        self._customers: list[str] = []
        self._invoices: list[str] = []
        self._nodes = 1
        self._books = False
        """Whether gifts are booked in QuickBooks."""
        self._gifts = itertools.count(1)
        self._given: set[str] = set()
        self._voids: set[str] = set()
        self._clock_was_wrong = False
        self._unlinked: list[tuple[str, str]] = []
        self.rig = ground.run(ground.begin())

    @first(
        filter_mode=st.sampled_from(["email", "search", "ignored"]), lag=lags, query_lag=lags,
        request_ids=st.sampled_from(["replay", "off", "forget"]), detail=st.sampled_from(["text", "null", "id"]),
        name=names, email=emails, two=st.booleans(), gifts=st.sampled_from(["off", "sales_receipt", "daily_deposit"]),
        tax=st.sampled_from([0, 0, 0, 5]),
    )  # fmt: skip
    def begin(self, *, filter_mode: Any, lag: float, query_lag: float, request_ids: str, detail: str, name: str,
              email: str, two: bool, gifts: str = "off", tax: int = 0) -> None:  # fmt: skip
        """Choose what the documents leave open. One customer there always is, and one invoice or more."""
        self.rig.nomod.filter_mode, self.rig.nomod.search_lag = filter_mode, lag
        self.rig.nomod.account_tax = Decimal(tax)  # what Nomod asks for differs then, which goes before a person
        quirks = self.rig.intuit.quirks
        quirks.requestid_mode, quirks.requestid_memory, quirks.query_lag = request_ids, 5.0, query_lag
        quirks.duplicate_detail, quirks.home_currency = detail, "AED"
        if request_ids == "replay" or not query_lag:
            # Two invoices with one number are no error there: that Intuit forgets what it was asked, and shows nobody
            # what it has done, is the one thing that nothing helps against.
            self._books = gifts != "off"
            self._ground.run(self.rig.add_quickbooks(invoices=True, gifts=gifts))
        for _ in range(two):
            self._nodes += 1
            self._ground.run(self.rig.start_node())
        self._sign_up(name, email)

    # The platforms ---------------------------------------------------------------------------------------------

    @step(name=names, email=emails)
    def sign_up(self, *, name: str, email: str) -> None:
        """A customer signs up and gets an invoice, which is announced; names and addresses are not unique."""
        self._sign_up(name, email)

    @step(customer=which)
    def finalize(self, *, customer: int) -> None:
        """A known customer gets another invoice, which is announced."""
        self._finalize(customer)
        self._announce(-1)

    @step(customer=which)
    def finalize_silently(self, *, customer: int) -> None:
        """An invoice is finalized, and its webhook does not come: it may be announced late, or never."""
        self._finalize(customer)

    @step(invoice=which, again=st.sampled_from([None, "msg_a", "msg_b"]))
    def announce(self, *, invoice: int, again: str | None) -> None:
        """Any invoice is announced: late, out of order, again as another message, or again as the same one."""
        self._announce(invoice, message_id=again and f"{again}_{invoice % len(self._invoices)}")

    @step()
    def announce_all_at_once(self) -> None:
        """Every invoice is announced at the same moment, the newest first, at all gateways."""

        async def all_of_them() -> None:
            await asyncio.gather(
                *(
                    self.rig.announce(invoice, node=number % self._nodes)
                    for number, invoice in enumerate(reversed(self._invoices))
                )
            )

        self._ground.run(all_of_them())

    @step(customer=which, name=names)
    def rename(self, *, customer: int, name: str) -> None:
        """A customer takes another name."""
        self.rig.flexprice.edit_customer(self._customer(customer), name=name)

    @step(customer=which, email=emails)
    def move(self, *, customer: int, email: str) -> None:
        """A customer takes another e-mail address."""
        self.rig.flexprice.edit_customer(self._customer(customer), email=email)

    @step(invoice=which, told=st.booleans())
    def void(self, *, invoice: int, told: bool = False) -> None:
        """An invoice is voided; the webhook about it comes, or does not."""
        voided = self.rig.flexprice.void_invoice(self._invoices[invoice % len(self._invoices)])
        if told:
            self._voids.add(str(voided["id"]))
            self._ground.run(self.rig.send({"event_type": "invoice.update.voided", "invoice": voided}))

    @step(donor=st.sampled_from(["user_1", "user_2", None]), name=names, email=emails, times=st.integers(1, 2))
    def give(self, *, donor: str | None, name: str, email: str, times: int = 1) -> None:
        """Somebody gives at Tithely, known there or not; it tells of it, or tells twice."""
        first, _, last = name.partition(" ")
        giver: dict[str, Any] = {"first_name": first, "last_name": last, "email": email, "currency": "AED"}
        if donor is not None:
            giver["donor_id"] = donor
        gift = f"ch_{next(self._gifts)}"
        self._given.add(gift)
        for number in range(times):
            self._ground.run(self.rig.give(transaction_id=gift, node=number % self._nodes, **giver))

    # The providers ---------------------------------------------------------------------------------------------

    @step(name=names, email=emails, twins=st.booleans())
    def made_by_hand_in_nomod(self, *, name: str, email: str, twins: bool = False) -> None:
        """Somebody makes a record there, or two that nobody can tell apart."""
        for _ in range(1 + twins):
            self.rig.nomod.seed(first_name=name, email=email)

    @step(name=names, email=emails, vendor=st.booleans())
    def made_by_hand_in_quickbooks(self, *, name: str, email: str, vendor: bool) -> None:
        """Somebody makes a record there, or a vendor, whose names are taken from customers too."""
        with contextlib.suppress(Refusal):  # the name is taken
            make = self.rig.intuit.seed_vendor if vendor else self.rig.intuit.seed_customer
            make(email=email, DisplayName=name.replace(":", " "))

    @step(record=which)
    def put_away_in_quickbooks(self, *, record: int) -> None:
        """Somebody makes a record inactive there."""
        there = sorted(self.rig.intuit.customers)
        with contextlib.suppress(Refusal, ZeroDivisionError):  # it is away already; there is none
            self.rig.intuit.deactivate(there[record % len(there)])

    @step(
        where=st.sampled_from(ROUTES), kind=st.sampled_from(FaultKind), times=st.integers(1, 3),
        skip=st.integers(0, 2), wait=st.sampled_from([None, 1, 45, 900]),
    )  # fmt: skip
    def fault(self, *, where: tuple[str, str], kind: FaultKind, times: int, skip: int, wait: int | None) -> None:
        """Requests to a service will go wrong."""
        service, route = where
        planned = Fault(kind=kind, route=route, times=times, skip=skip, seconds=0.01, retry_after=wait)
        getattr(self.rig, service).faults.add(planned)

    @step()
    def consent_lost(self) -> None:
        """The administrator disconnects the app in QuickBooks."""
        self.rig.intuit.oauth.disconnect()

    @step()
    def tokens_expired(self) -> None:
        """Access tokens end early."""
        self.rig.intuit.oauth.expire_access_tokens()

    # Time and machines -----------------------------------------------------------------------------------------

    @step(seconds=st.sampled_from([0.05, 3.0, 31.0, 700.0, 5400.0, 90_000.0]))
    def time_passes(self, *, seconds: float) -> None:
        """Work goes on for a while."""
        self._ground.run(self.rig.live(seconds, patience=PATIENCE))
        wake(self.rig)

    @step(seconds=st.sampled_from([-900.0, -10.0, 3600.0]))
    def clock_is_set(self, *, seconds: float) -> None:
        """Somebody sets the gateways' clock, forth or back."""
        self._clock_was_wrong = True
        self.rig.set_clock(seconds)
        wake(self.rig)  # in life it looks at the clock every second, and sees a clock that was set back
        self._ground.run(asyncio.sleep(0.002))

    @step(restarted=st.booleans())
    def gateway_killed(self, *, restarted: bool) -> None:
        """One gateway dies where it is. The other goes on, or else one is started in its place."""
        self._ground.run(self._kill(self.rig.nodes.pop()))
        self._nodes -= 1
        if restarted or not self._nodes:
            self._nodes += 1
            self._ground.run(self.rig.start_node())

    @step()
    def power_cut(self) -> None:
        """All gateways die where they are, and one is started again."""
        while self.rig.nodes:
            self._ground.run(self._kill(self.rig.nodes.pop()))
        self._nodes = 1
        self._ground.run(self.rig.start_node())

    @step()
    def another_gateway(self) -> None:
        """Another gateway joins in, or one is restarted in good order."""
        if self._nodes == NODES:
            self._ground.run(self.rig.nodes.pop().__aexit__())
        else:
            self._nodes += 1
        self._ground.run(self.rig.start_node())

    # People ----------------------------------------------------------------------------------------------------

    @step(adopts=st.booleans())
    def operator(self, *, adopts: bool = False) -> None:
        """A careful person does what waits to be done, and adopts what nobody has, or rather makes another."""
        self._ground.run(operate(self.rig, adopts=adopts))

    @step(customer=which, connection=st.sampled_from([NOMOD, QUICKBOOKS]))
    def unlinked(self, *, customer: int, connection: str) -> None:
        """Somebody forgets a link that the platform knows, as to take a decision back; the next invoice looks anew."""
        gone = self._ground.run(unlink(self.rig, self._customer(customer), connection))
        self._unlinked += [] if gone is None else [gone]
        self._finalize(customer)
        self._announce(-1)

    @step(connection=st.sampled_from([NOMOD, QUICKBOOKS]))
    def pause(self, *, connection: str) -> None:
        """Somebody pauses a connection."""
        self._ground.run(self.rig.pause(connection))

    @step(delivery=which)
    def replay(self, *, delivery: int) -> None:
        """Somebody has a delivery worked off again."""
        delivery_id = self.rig.acknowledged[delivery % len(self.rig.acknowledged)]
        with contextlib.suppress(StorageError):  # it is still being worked on
            self._ground.run(self.rig.store.replay_delivery(delivery_id))

    # How ---------------------------------------------------------------------------------------------------------

    def _sign_up(self, name: str, email: str) -> None:
        made = self.rig.flexprice.add_customer(name=name, email=email, metadata={"plan": "gold"})
        self._customers.append(str(made["id"]))
        self._finalize(len(self._customers) - 1)
        self._announce(-1)

    def _customer(self, number: int) -> str:
        return self._customers[number % len(self._customers)]

    def _finalize(self, customer: int) -> None:
        self._invoices.append(str(self.rig.flexprice.add_invoice(self._customer(customer))["id"]))

    def _announce(self, invoice: int, **options: Any) -> None:
        chosen = self._invoices[invoice % len(self._invoices)]
        self._ground.run(self.rig.announce(chosen, node=len(self._invoices) % self._nodes, **options))

    async def _kill(self, node: Gateway) -> None:
        """End a gateway as SIGKILL does: nothing is finished, nothing is handed back. What it held is free later."""
        worker = node.app[keys.WORKER]
        tasks = [*worker._loops, *(task for _, task in worker._running.values())]
        worker._stopping = True
        worker._ready.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        worker._running.clear()
        await node.__aexit__()
        for _ in range(4):
            await self.rig.pass_by(LEASE / 4)

    # The end ---------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let all faults end, let everything be done, and judge."""
        try:
            made = Made(
                customers=self._customers, charges=self.charges, given=self._given if self._books else None,
                voids=self._voids, unlinked=self._unlinked, clock_was_wrong=self._clock_was_wrong,
            )  # fmt: skip
            self._ground.run(judge(self.rig, made))
        except BaseException as error:
            error.add_note("\n".join(["Its steps were:", *self.told]))
            raise
        finally:
            self._ground.run(self.rig.stop())
