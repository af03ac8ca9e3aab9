"""Rules about what a payment link asks for and whether it can be paid: just the open amount, once, until it is off."""

from contextlib import suppress

from connectors.errors import Action, ConnectorError
from connectors.links import LinkCandidate
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.harness import LinkRecord
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.rules.links import make_link

AMOUNTS = (("USD", "100.37"), ("AED", "1234567.89"), ("JPY", "1500"), ("KWD", "12.345"), ("BHD", "0.001"))
"""Currencies of two, no and three decimal places; the first must be possible."""
IMPOSSIBLE = (("JPY", "10.5"), ("USD", "0.005"), ("KWD", "1.0001"), ("USD", "0"), ("USD", "-1"))


@rule("link-exact", Tier.BRONZE, "A link asks for just the amount that is open, to the last coin")
async def link_exact(kit: Kit) -> None:
    """Make links in currencies of every kind, and compare the service's ledger; what does not fit is refused."""
    async with kit.bench() as bench:
        payer, connector = bench.seed(bench.customer()), bench.linker()
        for number, (currency, amount) in enumerate(AMOUNTS, start=1):
            try:
                request = await bench.link_request(payer, number, amount, currency)
                connector.validate_link(request)
                created = await connector.create_link(request, intent=bench.intent(number))
            except ConnectorError as error:
                require(
                    number > 1 and not error.may_have_written,
                    f"a link over {amount} {currency} was not made: {type(error).__name__}",
                )
                continue
            made = _link(bench, created.record)
            again = await connector.get_link(created.record.provider_entity_id)
            asked = (request.amount, currency)
            require(
                (made.amount, made.currency) == asked,
                f"a link over {amount} {currency} asks for {made.amount} {made.currency}",
            )
            for name, told in (("create_link", created.record), ("get_link", again)):
                require(
                    told is not None and (told.amount, told.currency) == asked and told.active,
                    f"{name} told of {told} where the service has an open link over {made.amount} {made.currency}",
                )
                require(
                    told.url.startswith(("https://", "http://")), f"{name} told of no page on which the link is paid"
                )
        before = len(bench.harness.links())
        for number, (currency, amount) in enumerate(IMPOSSIBLE, start=100):
            with suppress(ConnectorError):
                request = await bench.link_request(payer, number, amount, currency)
                connector.validate_link(request)
                await connector.create_link(request, intent=bench.intent(number))
            require(
                len(bench.harness.links()) == before,
                f"a link over {amount} {currency} was made, which no payment can be: refuse it in validate_link",
            )


@rule("link-asks", Tier.BRONZE, "A link that the service has made dearer goes to a person")
async def link_asks(kit: Kit) -> None:
    """Have the service ask for more than it is told, where it can: its own sum is told, and nobody gets the link."""
    async with kit.bench() as bench:
        payer, dearer = bench.seed(bench.customer()), bench.harness.surcharge()
        request = await bench.link_request(payer)
        async with kit.gateway(bench) as gateway:
            for _ in range(2):
                outcome = (await gateway.link([request]))[0]
                require(
                    outcome.end is (End.REVIEW if dearer else End.LINKED) and len(bench.harness.links()) == 1,
                    f"a link over {request.amount} for which the service asks {bench.harness.links()[0].amount} should "
                    f"have gone to a person, once; {outcome.words}",
                )
                if not dearer:
                    return
        for each in await bench.linker().find_links(request):
            made = _link(bench, each)
            require(
                each.amount == made.amount, f"find_links told of {each.amount} where the service asks {made.amount}"
            )


@rule("link-off", Tier.BRONZE, "Switching off may be repeated, and shows when it is read")
async def link_off(kit: Kit) -> None:
    """Switch a link off twice, then ask for it again; ask for one that was never there."""
    async with kit.bench() as bench:
        request, connector = await bench.link_request(bench.seed(bench.customer())), bench.linker()
        record = await make_link(bench, request)
        for _ in range(2):
            await connector.disable_link(record.provider_entity_id)
        after = await connector.get_link(record.provider_entity_id)
        require(not _link(bench, record).active, "a link was switched off, and the service lets it be paid")
        require(
            after is not None and not after.active and not after.used,
            f"a link was switched off, and get_link tells of {after}",
        )
        gone = bench.harness.absent_id
        require(not gone or await connector.get_link(gone) is None, f"get_link finds {gone}, which was never there")
        try:
            await connector.disable_link(gone or "none")
        except ConnectorError as error:
            require(error.action is not Action.RETRY, f"{type(error).__name__} for a link that was never there")
        else:
            raise RuleBroken("disable_link returned for a link that was never there: raise StaleRecordError")
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.link([request]))[0]
        require(
            outcome.end is End.LINKED and outcome.record != record.provider_entity_id,
            f"a link that was switched off should not have been given again; {outcome.words}",
        )


@rule("link-paid", Tier.BRONZE, "A link is good for one payment, and shows that it was paid")
async def link_paid(kit: Kit) -> None:
    """Pay a link twice, switch it off, and ask for it again with an empty database."""
    async with kit.bench() as bench:
        request, connector = await bench.link_request(bench.seed(bench.customer())), bench.linker()
        record = (await make_link(bench, request)).provider_entity_id
        bench.harness.pay_link(record)
        try:
            bench.harness.pay_link(record)
        except ValueError:
            pass
        else:
            raise RuleBroken("the link could be paid twice: ask the service for one payment")
        for _ in range(2):
            paid = await connector.get_link(record)
            require(
                paid is not None and paid.used and not paid.active,
                f"a link was paid, and get_link tells of {paid}: it should be used, and not active",
            )
            with suppress(ConnectorError):
                await connector.disable_link(record)
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.link([request]))[0]
        require(
            outcome.end is End.REVIEW and len(bench.harness.links()) == 1,
            f"a link for just this amount was paid, so that a person should have been asked; {outcome.words}",
        )


def _link(bench: Bench, found: LinkCandidate) -> LinkRecord:
    known = {each.record_id: each for each in bench.harness.links()}
    require(found.provider_entity_id in known, f"the service has no link {found.provider_entity_id}")
    return known[found.provider_entity_id]


RULES = [link_exact, link_asks, link_off, link_paid]
