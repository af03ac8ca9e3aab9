"""Rules about how a connector behaves in its host: what it uses, what it declares, what it knows of its records."""

import math
import threading
from contextlib import suppress

from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.testing.bench import Bench
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.rules.failures import CALLS
from connectors.testing.rules.lookups import ALWAYS
from connectors.testing.simulator import Fault, FaultKind
from connectors.testing.sources import past_the_host


@rule("check-writes-nothing", Tier.BRONZE, "`check` proves the credentials, names the account, and writes nothing")
async def check_writes_nothing(kit: Kit) -> None:
    """Check twice, from two connectors."""
    async with kit.bench() as bench:
        bench.seed(bench.customer())
        before = bench.snapshot()
        accounts = [await bench.connector().check() for _ in range(2)]
        require(bench.proxy.calls, "check returned without asking the service")
        require(bench.snapshot() == before and not bench.proxy.creates, "check has changed the service's records")
        require(
            accounts[0].account_id and accounts[0].name,
            f"check should name the account: account_id is {accounts[0].account_id!r}, name is {accounts[0].name!r}",
        )
        require(
            accounts[0].account_id == accounts[1].account_id,
            "check named another account_id the second time: it tells one account from another, so it must stay",
        )


@rule("injected-only", Tier.SILVER, "It uses the session and clock of the host, and has no threads of its own")
async def injected_only(kit: Kit) -> None:
    """Read the connector's source, and watch every request and thread."""
    async with kit.bench() as bench:
        found = past_the_host(bench.kind.__module__)
        if found:
            raise RuleBroken("the connector goes past its host: " + "; ".join(found[:5]))
        threads = set(threading.enumerate())
        connector = bench.connector()
        for name, call in CALLS.items():
            with suppress(ConnectorError):
                await call(connector, bench)
            more = set(threading.enumerate()) - threads
            require(not more, f"{name} started a thread: {', '.join(thread.name for thread in more)}")
        await connector.close()
        strange = bench.proxy.unmarked
        require(not strange, f"a request did not use the session of the host: {strange[0].route if strange else ''}")


@rule("declares-limits", Tier.SILVER, "It declares rate and concurrency, and keeps every request to them")
async def declares_limits(kit: Kit) -> None:
    """Read the limits, and count who enters the limiter."""
    async with kit.bench() as bench:
        connector = bench.connector()
        require(
            type(connector).limits is not Connector.limits,
            "limits() is not written: say what the service allows one account, or what you have seen it bear",
        )
        limits = connector.limits()
        rates = [limits.per_second, *([limits.per_minute] if limits.per_minute is not None else [])]
        require(all(rate > 0 and math.isfinite(rate) for rate in rates), f"limits() names a rate of {min(rates):g}")
        require(limits.concurrency >= 1, f"limits() allows {limits.concurrency} requests at the same time")
        for call in CALLS.values():
            with suppress(ConnectorError):
                await call(connector, bench)
        sent, entered = len(bench.proxy.calls), bench.limiter.entered
        require(entered >= sent, f"{sent} requests were sent, and the limiter was entered {entered} times")
        require(bench.limiter.inside == 0, "a place in the limiter was not given back")


async def _marks_nothing(kit: Kit) -> None:
    """Hold an exempt connector to what it says."""
    async with kit.bench() as bench:
        require(not bench.connector().marks_records, "exempt, yet marks_records says that created records are marked")


@rule("marks-records", Tier.GOLD, "What it creates carries the customer's reference", exemption=_marks_nothing)
async def marks_records(kit: Kit) -> None:
    """Create, and look for the mark with the eyes of the customer, and of another one with the same address."""
    async with kit.bench() as bench:
        customer = bench.customer()
        require(
            bench.connector().marks_records,
            "marks_records is False: stamp the reference on what is created, or be exempt and say why it cannot be",
        )
        created = await bench.connector().create_customer(customer, intent=bench.intent())
        other = bench.customer(2, name=customer.name, email=customer.email)
        for who, words in ((customer, "its own customer"), (other, "another customer with the same address")):
            found = await bench.connector().find_customers(who)
            marks = [c.marker for c in found if c.provider_entity_id == created.provider_entity_id]
            require(
                marks == [customer.reference],
                f"a created record, looked up for {words}, should carry the marker {customer.reference!r}: "
                f"{marks or 'it was not found'}",
            )


async def _gets_nothing(kit: Kit) -> None:
    """Hold an exempt connector to what it says."""
    async with kit.bench() as bench:
        require(
            type(bench.connector()).get_customer is Connector.get_customer,
            "exempt, yet get_customer is written: mark the rule done",
        )


@rule("get-by-id", Tier.GOLD, "A hint is verified by id, and nothing but a certain no is none", exemption=_gets_nothing)
async def get_by_id(kit: Kit) -> None:
    """Get a record that is there, one that is not, and either while the service fails."""
    async with kit.bench() as bench:
        customer, connector = bench.customer(), bench.connector()
        made = bench.seed(customer)
        absent = bench.harness.absent_id
        require(absent, "name in the harness's `absent_id` an id that the service has never given")
        found = await connector.get_customer(made)
        require(found is not None and found.provider_entity_id == made, f"get_customer did not find the record {made}")
        require(await connector.get_customer(absent) is None, f"get_customer found {absent}, which nobody has")
        for strange in ("", "../../etc", "?", "a b", "x" * 300, "\N{SNOWMAN}", "%2e%2e"):
            with suppress(ConnectorError):
                require(await connector.get_customer(strange) is None, f"get_customer found the id {strange!r}")
        await _fails_by_id(bench, made)


async def _fails_by_id(bench: Bench, made: str) -> None:
    connector = bench.connector()
    for fault, words in (
        (Fault(kind=FaultKind.FAIL_BEFORE, times=ALWAYS), "HTTP 500"),
        (Fault(kind=FaultKind.HTML, status=404, times=ALWAYS), "HTTP 404 with a web page"),
        (Fault(kind=FaultKind.GARBAGE, times=ALWAYS), "bytes that are no JSON"),
        (Fault(kind=FaultKind.GARBAGE, body=b"null", times=ALWAYS), "HTTP 200 with the body null"),
    ):
        bench.plan(fault)
        try:
            found = await connector.get_customer(made)
        except ConnectorError:
            continue
        finally:
            bench.proxy.faults.clear()
        require(found is not None, f"get_customer answered none to {words}: raise")


RULES = (check_writes_nothing, injected_only, declares_limits, marks_records, get_by_id)
