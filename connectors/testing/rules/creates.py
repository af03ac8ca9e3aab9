"""Rules about creates: sent once, with the host's key, in the same bytes, and honest about a lost answer."""

from contextlib import suppress

from connectors.errors import Action, ConnectorError
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.simulator import Call, FaultKind

AFTER = (FaultKind.FAIL_AFTER, FaultKind.DROP_AFTER, FaultKind.HALF, FaultKind.GARBAGE)
"""The work was done, and the connector cannot know it."""
BEFORE = (FaultKind.FAIL_BEFORE, FaultKind.DROP_BEFORE)
"""The work was not done, and the connector cannot know that either."""
ALWAYS = 50


@rule("lost-answer", Tier.BRONZE, "A lost answer becomes outcome-unknown, and one customer in the end")
async def lost_answer(kit: Kit) -> None:
    """Lose the answer to a create in every way, with and without the work done, and let the gateway settle it."""
    async with kit.bench() as bench, kit.gateway(bench) as gateway:
        for number, kind in enumerate((*AFTER, *BEFORE), start=1):
            before = len(bench.records())
            bench.plan(await kit.at_create(kind))
            outcome = (await gateway.ensure([bench.customer(number)]))[0]
            made = len(bench.records()) - before
            require(
                outcome.attempts[:1] == ("outcome_unknown",),
                f"a create that was answered with {kind} should have been outcome_unknown; {outcome.words}",
            )
            require(
                made == 1 and outcome.end is End.LINKED,
                f"a create that was answered with {kind} should have ended as one linked record; there are {made}, and "
                f"{outcome.words}",
            )


@rule("no-inner-retry", Tier.BRONZE, "A create is never sent again inside of one call")
async def no_inner_retry(kit: Kit) -> None:
    """Lose the answer to a create, and count the requests."""
    for kind in (*AFTER, *BEFORE):
        async with kit.bench() as bench:
            connector, customer = bench.connector(), bench.customer()
            bench.plan(await kit.at_create(kind))
            error = await _refusal(bench, connector.create_customer(customer, intent=bench.intent()), f"with {kind}")
            sent = len(await kit.creating_calls(bench))
            require(sent == 1, f"create_customer sent {sent} creates when the first was answered with {kind}")
            require(
                error.may_have_written,
                f"create_customer raised {type(error).__name__} for {kind}, which says that nothing was written: the "
                "record may exist. Raise ProviderError, or another class that may have written",
            )


@rule("refusal-is-final", Tier.SILVER, "A refused create is told as such, and is not tried again")
async def refusal_is_final(kit: Kit) -> None:
    """Have the service refuse the customer's data (HTTP 400)."""
    async with kit.bench() as bench:
        refusal = bench.harness.refusal("this customer is not acceptable")
        fault = await kit.at_create(FaultKind.REFUSE, times=ALWAYS, body=refusal)
        bench.plan(fault)
        create = bench.connector().create_customer(bench.customer(), intent=bench.intent())
        error = await _refusal(bench, create, "with HTTP 400")
        require(
            not error.may_have_written and error.action is not Action.RETRY,
            f"create_customer raised {type(error).__name__} (action {error.action}) for HTTP 400: a refusal is "
            "definite. Raise a kind of RejectedError",
        )
        bench.plan(fault)
        async with kit.gateway(bench) as gateway:
            outcome = (await gateway.ensure([bench.customer()]))[0]
        require(
            outcome.end in {End.FAILED, End.REVIEW, End.PAUSED} and not bench.records(),
            f"a customer whom the service refuses should fail, or go to a person; {outcome.words}",
        )


async def agrees_without_key(kit: Kit) -> None:
    """Hold a connector without idempotency keys to what it says of its recovery."""
    async with kit.bench() as bench:
        window = bench.connector().recovery().replay_window
    require(
        window is None,
        "exempt since the service has no idempotency key, yet recovery() names a replay_window: the gateway would send "
        "a doubtful create again",
    )


@rule(
    "idempotency-key", Tier.SILVER, "The host's idempotency key is passed, and repeats nothing",
    exemption=agrees_without_key,
)  # fmt: skip
async def idempotency_key(kit: Kit) -> None:
    """Send the same create twice, and another one."""
    async with kit.bench() as bench:
        customer, intent = bench.customer(), bench.intent()
        first = await bench.connector().create_customer(customer, intent=intent)
        call = bench.proxy.creates[0]
        require(carries(call, intent.key), f"the create does not carry the key of its intent: {call.route}")
        again = await bench.connector().create_customer(customer, intent=intent)
        found = len(bench.records())
        require(
            found == 1 and again.provider_entity_id == first.provider_entity_id,
            f"the same create, sent twice with the same key, left {found} records",
        )
        other = bench.intent(2)
        await bench.connector().create_customer(bench.customer(2), intent=other)
        require(carries(bench.proxy.creates[-1], other.key), "another create did not carry its own key")


@rule("same-bytes", Tier.SILVER, "The same create is the same bytes, whenever it is sent")
async def same_bytes(kit: Kit) -> None:
    """Send the same create twice, an hour apart, from two connectors."""
    async with kit.bench() as bench:
        customer, intent = bench.customer(), bench.intent()
        sent = []
        for _ in range(2):
            before = len(await kit.creating_calls(bench))
            with suppress(ConnectorError):  # a service with unique names refuses the second
                await bench.connector().create_customer(customer, intent=intent)
            sent.append((await kit.creating_calls(bench))[before])
            bench.clock.advance(3600)
        one, other = (_content(call) for call in sent)
        differing = [part for part in one if one[part] != other[part]]
        require(
            not differing,
            f"the same create, sent an hour later, differs in its {' and '.join(differing)}: take times and keys from "
            "the intent, and choose nothing at random",
        )


async def _refusal(bench: Bench, create: object, situation: str) -> ConnectorError:
    """Return the error of a create that must not succeed."""
    try:
        await create  # type: ignore[misc]
    except ConnectorError as error:
        return error
    raise RuleBroken(
        f"create_customer returned although its request was answered {situation}; there are {len(bench.records())} "
        "records now. Raise, and leave it to the gateway to look"
    )


def carries(call: Call, key: str) -> bool:
    """Whether a request carries the key, wherever the service wants it."""
    texts = [call.body.decode("utf-8", "replace"), *call.query.values(), *call.headers.values()]
    return any(key in text for text in texts)


def _content(call: Call) -> dict[str, object]:
    return {"path": call.route, "query": call.query, "body": call.body}


RULES = (lost_answer, no_inner_retry, refusal_is_final, idempotency_key, same_bytes)
