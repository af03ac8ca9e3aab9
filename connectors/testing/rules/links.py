"""Rules about payment links, for connectors with `PaymentLinks`: one for one amount, over just that, paid once."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from connectors.errors import Action, ConnectorError
from connectors.links import LinkCandidate, PaymentLinkRequest
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.harness import LinkRecord
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.rules.creates import AFTER, BEFORE, agrees_without_key, carries
from connectors.testing.rules.failures import only_own_errors
from connectors.testing.rules.lookups import ALWAYS, troubles
from connectors.testing.rules.privacy import EMAIL, NAME, PERSONAL, overheard
from connectors.testing.simulator import FaultKind

AMOUNTS = (("USD", "100.37"), ("AED", "1234567.89"), ("JPY", "1500"), ("KWD", "12.345"), ("BHD", "0.001"))
"""Currencies of two, no and three decimal places; the first must be possible."""
IMPOSSIBLE = (("JPY", "10.5"), ("USD", "0.005"), ("KWD", "1.0001"), ("USD", "0"), ("USD", "-1"))
NUMBERS = (
    "INV-2026-11-REGION-MIDDLE-EAST-BRANCH-0000041", "INV-2026-11-REGION-MIDDLE-EAST-BRANCH-0000042", "",
    "Ünïcode 名 \u202e & <b> '\\ (%) \x07" * 3, "100",
)  # fmt: skip
"""Long ones that differ in their last letter, none, one of many scripts, and one that looks like an amount."""


@rule("link-once", Tier.BRONZE, "One payment link for any number of calls")
async def link_once(kit: Kit) -> None:
    """Make the same link in turn, at once by three workers, and once more with an empty database."""
    async with kit.bench() as bench:
        request = await bench.link_request(bench.seed(bench.customer()))
        async with kit.gateway(bench) as gateway:
            for _ in range(3):
                outcomes = await gateway.link([request] * 3, nodes=3)
                _one(bench, "the same link, asked for three times at once by three workers")
                require(
                    all(outcome.end is End.LINKED for outcome in outcomes),
                    f"every one of them should have ended linked; {outcomes[0].words}",
                )
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.link([request]))[0]
        _one(bench, "the same link, asked for again with an empty database")
        require(
            outcome.end is End.LINKED and (outcome.origin or "").startswith("adopted"),
            f"with an empty database the link should have been found by its mark and adopted; {outcome.words}",
        )


@rule("link-looks-first", Tier.BRONZE, 'A link is found among all others; an error is never "none"')
async def link_looks_first(kit: Kit) -> None:
    """Make a link, and let every look-up fail; then make more than a page of others, and look for it."""
    async with kit.bench() as bench:
        payer = bench.seed(bench.customer())
        request = await bench.link_request(payer)
        there = await _make(bench, request)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "find_links": lambda: bench.linker().find_links(request),
            "get_link": lambda: bench.linker().get_link(there.provider_entity_id),
        }
        for trouble in troubles():
            for name, call in calls.items():
                bench.plan(replace(trouble.fault, times=ALWAYS))
                with suppress(ConnectorError):
                    require(await call(), f'{name} read {trouble.words} as "none"')
        bench.proxy.faults.clear()
        for number in range(2, bench.harness.crowd + 2):
            await _make(bench, await bench.link_request(payer, number), number)
        found = await bench.linker().find_links(request)
        require(
            [each.provider_entity_id for each in found] == [there.provider_entity_id],
            f"find_links returned {[each.provider_entity_id for each in found]} where {there.provider_entity_id} "
            f"is one of {bench.harness.crowd + 1} links",
        )


@rule("link-lost-answer", Tier.BRONZE, "A lost answer becomes outcome-unknown, and one link in the end")
async def link_lost_answer(kit: Kit) -> None:
    """Lose the answer to the create in every way, with and without the work done, while new links hide from lists."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        payer, bench.proxy.lag = bench.seed(bench.customer()), bench.harness.search_lag
        for number, kind in enumerate((*AFTER, *BEFORE), start=1):
            request = await bench.link_request(payer, number)
            before = len(bench.harness.links())
            bench.plan(await kit.at_link(kind))
            outcome = (await gateway.link([request]))[0]
            made = len(bench.harness.links()) - before
            require(
                outcome.attempts[:1] == ("outcome_unknown",),
                f"a create that was answered with {kind} should have been outcome_unknown; {outcome.words}",
            )
            require(
                made == 1 and outcome.end is End.LINKED,
                f"a create that was answered with {kind} should have ended as one linked payment link; there are "
                f"{made}, and {outcome.words}",
            )


@rule("link-refused", Tier.BRONZE, "A refused link is told as such, and is not tried again")
async def link_refused(kit: Kit) -> None:
    """Have the service refuse the link (HTTP 400)."""
    async with kit.bench() as bench:
        request = await bench.link_request(bench.seed(bench.customer()))
        refusal = bench.harness.refusal("this link is not acceptable")
        fault = await kit.at_link(FaultKind.REFUSE, times=ALWAYS, body=refusal)
        bench.plan(fault)
        try:
            await bench.linker().create_link(request, intent=bench.intent())
        except ConnectorError as error:
            require(
                not error.may_have_written and error.action is not Action.RETRY,
                f"create_link raised {type(error).__name__} (action {error.action}) for HTTP 400: a refusal is "
                "definite. Raise a kind of RejectedError",
            )
        else:
            raise RuleBroken("create_link returned although its request was answered with HTTP 400")
        bench.plan(fault)
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.link([request]))[0]
        require(
            outcome.end in {End.FAILED, End.REVIEW, End.PAUSED} and not bench.harness.links(),
            f"a link that the service refuses should fail, or go to a person; {outcome.words}",
        )


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


@rule("link-errors", Tier.BRONZE, "Nothing but the API's own errors comes out of link calls")
async def link_errors(kit: Kit) -> None:
    """Call everything while the service fails in every way, and answers what nobody would expect."""
    async with kit.bench() as bench:
        await only_own_errors(bench, await _calls(bench))


@rule("link-own-mark", Tier.BRONZE, "The mark tells invoices, amounts and sources apart, whatever they are called")
async def link_own_mark(kit: Kit) -> None:
    """Make links that differ in one thing only: amount, source, invoice, or the end of a long number; find each."""
    async with kit.bench() as bench:
        payer = bench.seed(bench.customer())
        requests = [await bench.link_request(payer, n, number=number) for n, number in enumerate(NUMBERS, start=10)]
        plain = await bench.link_request(payer)
        part = replace(plain, amount=plain.amount - 1)
        requests += [plain, part, replace(plain, invoice=replace(plain.invoice, source="another-billing"))]
        made = [await _make(bench, request, number) for number, request in enumerate(requests)]
        for request, record in zip(requests, made, strict=True):
            mine = [each for each in await bench.linker().find_links(request) if each.marker == request.reference]
            require(
                [each.provider_entity_id for each in mine] == [record.provider_entity_id],
                f"of {len(made)} links that differ, {len(mine)} carry the mark of {request.reference}",
            )


@rule("link-off", Tier.BRONZE, "Switching off may be repeated, and shows when it is read")
async def link_off(kit: Kit) -> None:
    """Switch a link off twice, then ask for it again; ask for one that was never there."""
    async with kit.bench() as bench:
        request, connector = await bench.link_request(bench.seed(bench.customer())), bench.linker()
        record = await _make(bench, request)
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
        record = (await _make(bench, request)).provider_entity_id
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


@rule("link-quiet", Tier.BRONZE, "Link calls show no secret, and nothing about the customer")
async def link_quiet(kit: Kit) -> None:
    """Call everything under every fault, also against a service that quotes what it was sent."""
    async with kit.bench() as bench:
        calls = await _calls(bench, description=f"for {NAME}, {EMAIL}", metadata={"contact": EMAIL})
        found = await overheard(bench, calls, PERSONAL)
        require(found is None, f"{found} is shown by a link call")


@rule("link-same-bytes", Tier.SILVER, "The same link and intent give the same bytes, on any day")
async def link_same_bytes(kit: Kit) -> None:
    """Send the same create twice, days apart, while the service does not answer."""
    async with kit.bench() as bench:
        request, route, sent = await bench.link_request(bench.seed(bench.customer())), await kit.link_route(), []
        for _ in range(2):
            bench.plan(await kit.at_link(FaultKind.DROP_BEFORE))
            with suppress(ConnectorError):
                await bench.linker().create_link(request, intent=bench.intent())
            sent.append(bench.proxy.calls_of(route)[-1].body)
            bench.clock.advance(3 * 86_400)
        require(sent[0] == sent[1], "the same link and intent were sent with other bytes three days later")


@rule(
    "link-key", Tier.SILVER, "The host's idempotency key is passed, and makes no second link",
    exemption=agrees_without_key,
)  # fmt: skip
async def link_key(kit: Kit) -> None:
    """Send the same create twice."""
    async with kit.bench() as bench:
        request, intent = await bench.link_request(bench.seed(bench.customer())), bench.intent()
        first = await bench.linker().create_link(request, intent=intent)
        require(carries(bench.proxy.creates[-1], intent.key), "the create does not carry the key of its intent")
        again = await bench.linker().create_link(request, intent=intent)
        require(
            first.record.provider_entity_id == again.record.provider_entity_id and len(bench.harness.links()) == 1,
            f"the same create, sent twice with the same key, left {len(bench.harness.links())} links",
        )


async def _calls(bench: Bench, **fields: Any) -> Mapping[str, Callable[[], Awaitable[object]]]:
    """Return every call of the capability, about a link that is there."""
    request, connector = await bench.link_request(bench.seed(bench.customer()), **fields), bench.linker()
    there = (await _make(bench, request)).provider_entity_id
    return {
        "find_links": lambda: connector.find_links(request),
        "get_link": lambda: connector.get_link(there),
        "create_link": lambda: connector.create_link(request, intent=bench.intent(2)),
        "disable_link": lambda: connector.disable_link(there),
    }


async def _make(bench: Bench, request: PaymentLinkRequest, number: int = 1) -> LinkCandidate:
    created = await bench.linker().create_link(request, intent=bench.intent(number))
    record: LinkCandidate = created.record
    return record


def _link(bench: Bench, found: LinkCandidate) -> LinkRecord:
    known = {each.record_id: each for each in bench.harness.links()}
    require(found.provider_entity_id in known, f"the service has no link {found.provider_entity_id}")
    return known[found.provider_entity_id]


def _one(bench: Bench, words: str) -> None:
    found = len(bench.harness.links())
    require(found == 1, f"{words}: there are {found} links")


RULES = [
    link_once, link_looks_first, link_lost_answer, link_refused, link_exact, link_asks, link_errors, link_own_mark,
    link_off, link_paid, link_quiet, link_same_bytes, link_key,
]  # fmt: skip
