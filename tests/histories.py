"""Histories: whatever happens in whatever order, drawn by Hypothesis, lived through in virtual time, and then judged.

A history is a sequence of: customers made, renamed, given another address; invoices finalized, voided, announced, and
announced again; faults at any service; consents lost; gateways added, restarted, killed; hours that pass, and a clock
that jumps back. In the end the faults stop, a careful operator does what is asked of people, and the invariants hold.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule

from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from storage.records import JobStatus, Review, ReviewStatus
from tests.harness import QUICKBOOKS, Rig
from tests.invariants import every
from tests.ledgers import made_in_quickbooks

NAMES = ("Ada Lovelace", "Front Office", "Łukasz Żółć", "O'Connor: Sons")
EMAILS = ("ada@example.com", "ADA@example.com", "office@example.com", "c@example.org", "d@example.org")
ROUTES = (
    ("flexprice", "GET /v1/invoices/*"), ("flexprice", "GET /v1/customers/*"), ("flexprice", "PUT /v1/customers"),
    ("nomod", "GET /v1/customers"), ("nomod", "POST /v1/customers"), ("intuit", "GET /v3/company/*/query"),
    ("intuit", "POST /v3/company/*/customer"),
)  # fmt: skip
KINDS = [kind for kind in FaultKind if kind is not FaultKind.THROTTLE]  # its pauses pass in real time


class History(RuleBasedStateMachine):
    """One history. See the module's docstring."""

    customers: Bundle[str] = Bundle("customers")
    invoices: Bundle[str] = Bundle("invoices")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = Path(tempfile.mkdtemp(prefix="ledgergate-history-"))
        self._run(self._begin())

    async def _begin(self) -> None:
        self.rig = Rig(self._folder)
        await self.rig.start()
        await self.rig.add_flexprice()
        await self.rig.add_nomod()
        await self.rig.add_quickbooks()

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(work)

    @initialize(
        filter_mode=st.sampled_from(["email", "search", "ignored"]), lag=st.sampled_from([0.0, 15.0, 400.0]),
        request_ids=st.sampled_from(["replay", "off", "forget"]), query_lag=st.sampled_from([0.0, 15.0, 400.0]),
    )  # fmt: skip
    def services(self, filter_mode: Any, lag: float, request_ids: str, query_lag: float) -> None:
        """Choose what the documents leave open."""
        self.rig.nomod.filter_mode, self.rig.nomod.search_lag = filter_mode, lag
        quirks = self.rig.intuit.quirks
        quirks.requestid_mode, quirks.requestid_memory, quirks.query_lag = request_ids, 5.0, query_lag

    # The platform ----------------------------------------------------------------------------------------------

    @rule(target=customers, name=st.sampled_from(NAMES), email=st.sampled_from(EMAILS))
    def new_customer(self, name: str, email: str) -> str:
        """A customer signs up; names and addresses are not unique."""
        return str(self.rig.flexprice.add_customer(name=name, email=email, metadata={"plan": "gold"})["id"])

    @rule(target=invoices, customer=customers)
    def new_invoice(self, customer: str) -> str:
        """An invoice is finalized, and announced at once."""
        invoice = str(self.rig.flexprice.add_invoice(customer)["id"])
        self._run(self.rig.announce(invoice))
        return invoice

    @rule(invoice=invoices, again=st.sampled_from([None, "msg_a", "msg_b"]))
    def announce(self, invoice: str, again: str | None) -> None:
        """The same invoice is announced again: as another message, or as the same one."""
        self._run(self.rig.announce(invoice, message_id=again and f"{again}_{invoice}"))

    @rule(customer=customers, name=st.sampled_from(NAMES), email=st.sampled_from(EMAILS))
    def edit(self, customer: str, name: str, email: str) -> None:
        """A customer is renamed and given another address."""
        self.rig.flexprice.edit_customer(customer, name=name, email=email)

    @rule(invoice=invoices)
    def void(self, invoice: str) -> None:
        """An invoice is voided."""
        self.rig.flexprice.void_invoice(invoice)

    # What goes wrong -------------------------------------------------------------------------------------------

    @rule(where=st.sampled_from(ROUTES), kind=st.sampled_from(KINDS), times=st.integers(1, 3), skip=st.integers(0, 2))
    def fault(self, where: tuple[str, str], kind: FaultKind, times: int, skip: int) -> None:
        """Requests to a service will go wrong."""
        service, route = where
        getattr(self.rig, service).faults.add(Fault(kind=kind, route=route, times=times, skip=skip, seconds=0.01))

    @rule()
    def consent_lost(self) -> None:
        """The administrator disconnects the app in QuickBooks."""
        self.rig.intuit.oauth.disconnect()

    @rule(seconds=st.sampled_from([0.05, 3.0, 31.0, 700.0, 90_000.0]))
    def time_passes(self, seconds: float) -> None:
        """Work goes on for a while."""
        self._run(self.rig.live(seconds))

    @rule(seconds=st.sampled_from([-3600.0, -10.0, 3600.0]))
    def clock_jumps(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.rig.clock.advance(seconds)

    @rule()
    def killed(self) -> None:
        """All gateways die where they are, and one is started again."""
        self._run(self._kill_all())

    async def _kill_all(self) -> None:
        for node in self.rig.nodes:
            worker = node.app[keys.WORKER]
            tasks = [task for _, task in worker._running.values()]
            worker._stopping = True
            worker._ready.clear()
            for task in [*worker._loops, *tasks]:
                task.cancel()
            await asyncio.gather(*worker._loops, *tasks, return_exceptions=True)
            worker._running.clear()
        await self.rig.restart()
        self.rig.clock.advance(31)  # what they held is free when their leases have ended

    @precondition(lambda self: len(self.rig.nodes) == 1)
    @rule()
    def second_gateway(self) -> None:
        """Another gateway joins in."""
        self._run(self.rig.start_node())

    # People ----------------------------------------------------------------------------------------------------

    @rule()
    def operator(self) -> None:
        """A careful person does what waits to be done."""
        self._run(self._operate())

    async def _operate(self) -> int:
        """Decide reviews, retry dead letters, connect again; return how much there was to do."""
        store, done = self.rig.store, 0
        for review in await every(store.list_reviews, status=ReviewStatus.OPEN):
            await self._decide(review)
            done += 1
        for job in await every(store.list_jobs, status=JobStatus.FAILED):
            await store.retry_job(job.job_id, now=self.rig.now())
            done += 1
        for connection in await store.list_connections():
            if connection.status == "paused":
                await self.rig.add_quickbooks()
                await self.rig.resume(QUICKBOOKS)
                done += 1
        await self.rig.refresh()
        return done

    async def _decide(self, review: Review) -> None:
        """Look at the provider: adopt what was made for the customer, else make one."""
        made = self.rig.nomod.made_for if review.connection == "nomod-prod" else made_in_quickbooks(self.rig.intuit)
        known = made.get(str(review.entity_id))
        await self.rig.store.resolve_review(
            review.review_id, decision="adopt" if known else "create", provider_entity_id=known[0] if known else None,
            by="operator", now=self.rig.now(),
        )  # fmt: skip

    # The end ---------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let all faults end, let everything be done, and judge."""
        try:
            self._run(self._judge())
        finally:
            self._run(self.rig.stop())
            self._run(self._loop.shutdown_default_executor())
            self._loop.close()
            shutil.rmtree(self._folder)

    async def _judge(self) -> None:
        for service in (self.rig.flexprice, self.rig.nomod, self.rig.intuit):
            service.faults.clear()
        for _ in range(50):
            await self.rig.finish()
            if not await self._operate():
                break
        await self.rig.finish()
        await self.rig.check(all_linked=True)
