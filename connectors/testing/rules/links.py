"""Rules about making payment links, for connectors with `PaymentLinks`: one for one amount, found again by its mark."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from connectors.errors import Action, ConnectorError
from connectors.links import LinkCandidate, PaymentLinkRequest
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.rules.creates import AFTER, BEFORE, agrees_without_key, carries
from connectors.testing.rules.failures import only_own_errors
from connectors.testing.rules.lookups import ALWAYS, troubles
from connectors.testing.rules.privacy import EMAIL, NAME, PERSONAL, overheard
from connectors.testing.simulator import FaultKind

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
        there = await make_link(bench, request)
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
            await make_link(bench, await bench.link_request(payer, number), number)
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
        made = [await make_link(bench, request, number) for number, request in enumerate(requests)]
        for request, record in zip(requests, made, strict=True):
            mine = [each for each in await bench.linker().find_links(request) if each.marker == request.reference]
            require(
                [each.provider_entity_id for each in mine] == [record.provider_entity_id],
                f"of {len(made)} links that differ, {len(mine)} carry the mark of {request.reference}",
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
    there = (await make_link(bench, request)).provider_entity_id
    return {
        "find_links": lambda: connector.find_links(request),
        "get_link": lambda: connector.get_link(there),
        "create_link": lambda: connector.create_link(request, intent=bench.intent(2)),
        "disable_link": lambda: connector.disable_link(there),
    }


async def make_link(bench: Bench, request: PaymentLinkRequest, number: int = 1) -> LinkCandidate:
    """Make a link, and return it as the connector tells of it."""
    created = await bench.linker().create_link(request, intent=bench.intent(number))
    record: LinkCandidate = created.record
    return record


def _one(bench: Bench, words: str) -> None:
    found = len(bench.harness.links())
    require(found == 1, f"{words}: there are {found} links")


RULES = [
    link_once, link_looks_first, link_lost_answer, link_refused, link_errors, link_own_mark, link_quiet,
    link_same_bytes, link_key,
]  # fmt: skip
