"""Rules about look-ups: a failed one is never "none", a filter is never believed, a new record may hide."""

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.errors import ConnectorError
from connectors.models import Customer
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.harness import Asked
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.simulator import Fault, FaultKind

ALWAYS = 1000
"""So many times that a fault does not pass while a rule looks."""

UNREADABLE = (b"null", b'"none"', b'{"unexpected": true}', b'{"items": [', b"")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of look-ups, with the words for it."""

    words: str
    fault: Fault


def troubles() -> Iterator[Trouble]:
    """Return every way in which a look-up fails, or cannot be read."""
    yield Trouble("HTTP 500", Fault(kind=FaultKind.FAIL_BEFORE))
    yield Trouble("HTTP 500 after the work", Fault(kind=FaultKind.FAIL_AFTER))
    yield Trouble("HTTP 503 with a web page", Fault(kind=FaultKind.HTML))
    yield Trouble("HTTP 403 with a web page", Fault(kind=FaultKind.HTML, status=403))
    yield Trouble("HTTP 404 with a web page", Fault(kind=FaultKind.HTML, status=404))
    yield Trouble("HTTP 200 with a web page", Fault(kind=FaultKind.HTML, status=200))
    yield Trouble("HTTP 401", Fault(kind=FaultKind.REFUSE, status=401))
    yield Trouble("HTTP 403", Fault(kind=FaultKind.REFUSE, status=403))
    yield Trouble("HTTP 400", Fault(kind=FaultKind.REFUSE, status=400))
    yield Trouble("HTTP 429", Fault(kind=FaultKind.THROTTLE))
    yield Trouble("a redirect", Fault(kind=FaultKind.REDIRECT))
    yield Trouble("a refused connection", Fault(kind=FaultKind.DROP_BEFORE))
    yield Trouble("a lost answer", Fault(kind=FaultKind.DROP_AFTER))
    yield Trouble("half an answer", Fault(kind=FaultKind.HALF))
    yield Trouble("bytes that are no JSON", Fault(kind=FaultKind.GARBAGE))
    for body in UNREADABLE:
        yield Trouble(f"HTTP 200 with the body {body.decode()!r}", Fault(kind=FaultKind.GARBAGE, body=body))


@rule("failed-lookup-raises", Tier.BRONZE, 'A failed or unreadable look-up raises, and is never "none"')
async def failed_lookup_raises(kit: Kit) -> None:
    """Let every request of a look-up fail in every way, once and for good, while the customer is there."""
    async with kit.bench() as bench:
        customer = bench.customer()
        bench.seed(customer)
        await bench.connector().find_customers(customer)
        cold = len(bench.proxy.calls)
        await bench.connector().find_customers(customer)
        warm = len(bench.proxy.calls) - cold
        require(warm, "find_customers answered without asking the service")
        for trouble in troubles():
            for position in range(warm):
                for times in (1, ALWAYS):
                    await _fails(bench, customer, trouble, position=position, times=times)
    for position in range(cold - warm):
        for trouble in troubles():
            async with kit.bench() as bench:
                bench.seed(customer)
                await _fails(bench, customer, trouble, position=position, times=ALWAYS)


async def _fails(bench: Bench, customer: Customer, trouble: Trouble, *, position: int, times: int) -> None:
    fault = trouble.fault
    bench.plan(
        Fault(kind=fault.kind, status=fault.status, body=fault.body, skip=position, times=times, seconds=fault.seconds)
    )
    seeded = bench.records()[0].record_id
    try:
        found = await bench.connector().find_customers(customer)
    except ConnectorError:
        return
    finally:
        bench.proxy.faults.clear()
    if seeded not in {candidate.provider_entity_id for candidate in found}:
        often = "once" if times == 1 else "from then on"
        raise RuleBroken(
            f"request {position + 1} of the look-up was answered {often} with {trouble.words}: find_customers should "
            f"have raised, and returned {len(found)} records without the one that is there"
        )


@rule("ignored-filter", Tier.BRONZE, "It compares what it gets, and reads to the last page")
async def ignored_filter(kit: Kit) -> None:
    """Have the service ignore the look-up's filter, in a crowd that fills more than a page."""
    async with kit.bench() as bench:
        connector, early, late, nobody = bench.connector(), bench.customer(1), bench.customer(2), bench.customer(3)
        await connector.find_customers(early)
        _require_filters(bench, early)
        bench.seed(early)
        for number in range(bench.harness.crowd):
            bench.seed(bench.customer(1000 + number, name=f"Stranger {number}", email=f"stranger.{number}@example.net"))
        bench.seed(late)
        before = bench.ids()
        bench.proxy.widening = True
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.ensure([nobody]))[0]
            require(
                outcome.end in {End.LINKED, End.REVIEW} and outcome.record not in before,
                f"in a service that ignores the filter, a customer who is not there should be created, and not be "
                f"linked to a stranger ({outcome.record}): compare every record with the customer; {outcome.words}",
            )
            before = bench.ids()
            for customer in (early, late):
                outcome = (await gateway.ensure([customer]))[0]
                require(
                    bench.ids() == before and outcome.end in {End.LINKED, End.REVIEW},
                    f"in a service that ignores the filter, a customer who is there among {len(before)} was not found "
                    f"and created again: read every page, and compare; {outcome.words}",
                )


def _require_filters(bench: Bench, customer: Customer) -> None:
    """Require that the harness knows the parameter in which the look-up sends the address."""
    for call in bench.proxy.calls:
        asked = Asked(method=call.method, path=call.path, query=tuple(call.query.items()))
        sent = [key for key, value in call.query.items() if customer.email.casefold() in value.casefold()]
        require(
            not sent or bench.harness.widened(asked) != asked,
            f"the look-up sends the e-mail address as `{sent[0] if sent else ''}`: name it in the harness's `filters`",
        )


@rule("search-lag", Tier.SILVER, "A new record that hides from look-ups is not created again")
async def search_lag(kit: Kit) -> None:
    """Lose the answer to a create, and hide the new record for as long as the harness says that it may take."""
    async with kit.bench() as bench:
        lag, recovery = bench.harness.search_lag, bench.connector().recovery()
        window = recovery.replay_window.total_seconds() if recovery.replay_window is not None else 0.0
        last = recovery.lookups[-1] if recovery.lookups else 0.0
        require(
            max(window, last) >= lag,
            f"recovery() stops looking after {max(window, last):g} s, and a new record may hide for {lag:g} s: after "
            "the last look-up it would count as absent, and be created again",
        )
    for outage in (0.0, window + 1.0):
        async with kit.bench() as bench, kit.gateway(bench) as gateway:
            bench.proxy.lag = lag
            bench.plan(await kit.at_create(FaultKind.DROP_AFTER))
            outcome = (await gateway.ensure([bench.customer()], outage=outage))[0]
            found = len(bench.records())
            require(
                found == 1 and outcome.end in {End.LINKED, End.REVIEW},
                f"the answer to a create was lost and the record hid for {lag:g} s: {found} records; {outcome.words}",
            )


RULES = (failed_lookup_raises, ignored_filter, search_lag)
