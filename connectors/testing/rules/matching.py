"""Rules about whose a record is: one strong match is adopted, several go to a person, and some are nobody's."""

from connectors.testing.engine import End, Outcome
from connectors.testing.harness import State
from connectors.testing.rulebook import Kit, Tier, require, rule

SEVERAL = ("Ada", "Lovelace")
"""Names of records that each alone might be the customer's."""


@rule("adopts-the-one", Tier.BRONZE, "One strong match is adopted, and nothing is created")
async def adopts_the_one(kit: Kit) -> None:
    """Put the customer in by hand, as typed by people, among others."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        for number, typed in enumerate(("as it is", "in capitals"), start=1):
            customer = bench.customer(number)
            written = customer.email.upper() if typed == "in capitals" else customer.email
            stranger = bench.customer(100 + number, name=f"Somebody Else {number}")
            bench.seed(stranger)
            made = bench.harness.seed(name=customer.full_name, email=written)
            before = bench.ids()
            outcome = (await gateway.ensure([customer]))[0]
            require(
                outcome.end is End.LINKED and outcome.record == made and bench.ids() == before,
                f"a record with the customer's name and e-mail address {typed} should have been adopted; "
                f"{outcome.words}, and {len(bench.ids() - before)} records were created",
            )


@rule("asks-about-several", Tier.BRONZE, "Several matches go to a person, and nothing is created")
async def asks_about_several(kit: Kit) -> None:
    """Put in two records with the customer's address, and with a part of the name each."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        customer = bench.customer()
        for name in SEVERAL:
            bench.seed(customer, name=name)
        before = bench.ids()
        outcome = (await gateway.ensure([customer]))[0]
        require(
            outcome.end is End.REVIEW and bench.ids() == before,
            f"two records share the customer's e-mail address: find_customers must return both, so that a person "
            f"decides; {outcome.words}",
        )


async def _has_no_states(kit: Kit) -> None:
    """Hold an exempt connector to what its harness says."""
    async with kit.bench() as bench:
        states = bench.harness.states
    require(not states, f"exempt, yet the harness can make records that are {', '.join(sorted(states))}")


@rule(
    "leaves-the-rest", Tier.SILVER, "Inactive, merged and other records are not adopted as they are",
    exemption=_has_no_states,
)  # fmt: skip
async def leaves_the_rest(kit: Kit) -> None:
    """Put in a record with the customer's name and address that is inactive, merged, or of another kind."""
    async with kit.bench() as bench:
        states = bench.harness.states
    require(
        states,
        "the harness makes no record that is inactive, merged or of another kind: list them in `states`, or be exempt "
        "with the reason that the service has none",
    )
    for state in sorted(states):
        async with kit.bench() as bench:
            customer = bench.customer()
            made = bench.seed(customer, state=state)
            for candidate in await bench.connector().find_customers(customer):
                require(
                    candidate.provider_entity_id != made or not (candidate.active and candidate.adoptable),
                    f"find_customers returned a record that is {state} as active and adoptable",
                )
            async with kit.gateway(bench) as gateway:
                outcome = (await gateway.ensure([customer]))[0]
            record = bench.record(made)
            by_now = record.state if record is not None else State.MERGED
            require(
                outcome.end in {End.LINKED, End.REVIEW} and (outcome.record != made or by_now is State.ACTIVE),
                f"a customer whose only record is {state} should go to a person, or get a new one; {outcome.words}",
            )


@rule("dry-run", Tier.GOLD, "A dry run comes to the same decision, and writes nothing")
async def dry_run(kit: Kit) -> None:
    """Plan and then ensure, in a service that has nobody, the customer, and two who may be it."""
    for names, expected in (
        ((), End.CREATE),
        ((None,), End.LINKED),
        (SEVERAL, End.REVIEW),
    ):
        async with kit.bench() as bench, kit.gateway(bench) as gateway:
            customer = bench.customer()
            for name in names:
                bench.seed(customer, name=name)
            before = bench.snapshot()
            planned = await gateway.plan(customer)
            require(
                bench.snapshot() == before and not bench.proxy.creates,
                f"a dry run over {len(names)} records with the customer's address has changed the service's records",
            )
            done = (await gateway.ensure([customer]))[0]
            require(
                planned.end is expected and _same(planned, done),
                f"with {len(names)} records that have the customer's address, the dry run should have said {expected}; "
                f"it said {planned.end} {planned.record or ''}, and then {done.words}",
            )


def _same(planned: Outcome, done: Outcome) -> bool:
    if planned.end is End.CREATE:
        return done.end is End.LINKED and done.origin == "created"
    return planned.end is done.end and (planned.record == done.record or done.end is not End.LINKED)


RULES = (adopts_the_one, asks_about_several, leaves_the_rest, dry_run)
