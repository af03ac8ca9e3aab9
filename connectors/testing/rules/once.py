"""Rules about one customer staying one: in turn, at once, from two processes, and after everything was forgotten."""

from connectors.testing.bench import Bench
from connectors.testing.engine import End, Outcome
from connectors.testing.rulebook import Kit, Tier, require, rule

CALLS = 5
AT_ONCE = 6


@rule("one-in-turn", Tier.BRONZE, "One customer for any number of calls in turn")
async def one_in_turn(kit: Kit) -> None:
    """Ensure the same customer again and again, then once more from an empty database."""
    async with kit.bench() as bench:
        customer = bench.customer()
        async with kit.gateway(bench) as gateway:
            for _ in range(CALLS):
                outcomes = await gateway.ensure([customer])
                require_one(bench, outcomes, f"{CALLS} calls in turn")
        async with kit.gateway(bench) as gateway:
            # Changed since: the create would have another idempotency key, so that only a look-up can help.
            outcomes = await gateway.ensure([bench.customer(phone="+44 20 7946 0018")])
            require_one(bench, outcomes, "a call from a gateway whose database is new")
            only = bench.records()[0].record_id
            require(
                outcomes[0].end is End.LINKED and outcomes[0].record == only,
                f"a gateway whose database is new should have adopted the record {only} that it finds, and ended with: "
                f"{outcomes[0].words}",
            )


@rule("one-at-once", Tier.BRONZE, "One customer for any number of calls at once")
async def one_at_once(kit: Kit) -> None:
    """Ensure the same customer many times at once with several workers, and others beside."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        customers = [bench.customer()] * AT_ONCE
        require_one(bench, await gateway.ensure(customers, nodes=3), f"{AT_ONCE} calls at once")
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        several = [bench.customer(number) for number in range(1, 5)]
        await gateway.ensure(several * 2, nodes=3)
        found = len(bench.records())
        require(found == len(several), f"{len(several)} customers, each twice at once, became {found} records")


@rule("one-from-two-processes", Tier.BRONZE, "One customer for calls from two processes")
async def one_from_two_processes(kit: Kit) -> None:
    """Share the work with a second process, then have a process that knows nothing do it again."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        customers = [bench.customer(number) for number in (1, 2)]
        try:
            outcomes = await gateway.ensure_with_process(customers * 3, new_config=bench.new_config())
        except ImportError as error:
            require(condition=False, message=f"a second process cannot make this connector: {error}")
            return
        found = len(bench.records())
        require(found == len(customers), f"{len(customers)} customers, from two processes, became {found} records")
        linked = [outcome for outcome in outcomes if outcome.end is not End.IGNORED]
        strange = next((outcome for outcome in linked if outcome.end is not End.LINKED), None)
        words = strange.words if strange is not None else ""
        require(strange is None, f"a process that knows nothing should have adopted what it finds; {words}")


@rule("looks-before-it-creates", Tier.BRONZE, "It looks, every time, before it creates")
async def looks_before_it_creates(kit: Kit) -> None:
    """Put a customer in by hand right before a look-up and right before a create."""
    async with kit.bench() as bench:
        connector, customer = bench.connector(), bench.customer()
        found = await connector.find_customers(customer)
        require(not found, "find_customers found somebody in a service without customers")
        asked = len(bench.proxy.calls)
        made = bench.seed(customer)
        found = await connector.find_customers(customer)
        require(len(bench.proxy.calls) > asked, "find_customers answered without asking the service")
        require(
            made in {candidate.provider_entity_id for candidate in found},
            "find_customers did not find a customer with this name and e-mail address, put in a moment before",
        )
        require(not bench.proxy.creates, "find_customers created a record")
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        customer = bench.customer()
        bench.seed(customer)
        require_one(bench, await gateway.ensure([customer]), "a customer whom a person had put in")


def require_one(bench: Bench, outcomes: list[Outcome], situation: str) -> None:
    """Require one record at the service, and say what the gateway saw."""
    found = len(bench.records())
    require(found == 1, f"{situation} left {found} records where there should be one; {outcomes[-1].words}")


RULES = (one_in_turn, one_at_once, one_from_two_processes, looks_before_it_creates)
