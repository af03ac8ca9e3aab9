"""Rules about trouble: our error classes alone, throttling, refused credentials, hanging services, cancellation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from connectors.base import Connector
from connectors.errors import ConnectorError, PauseError, RateLimitedError
from connectors.testing.bench import Bench
from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.rules.lookups import ALWAYS, troubles
from connectors.testing.simulator import Fault, FaultKind

ODD = (
    b"[]", b"{}", b"42", b"[null]", b'[{"id": null}]', b'{"results": null}', b'{"results": [1, "2", null]}',
    b'{"results": [], "count": "many"}', b'{"id": {"id": 1}}', b'{"error": 5}', b'{"error": ["x", {"y": null}]}',
    b"[" * 2000, b'"\xff"', b"<xml/>",
)  # fmt: skip
HANG_SECONDS = 60.0
CANCEL_SECONDS = 2.0
WAIT = 7
Call = Callable[[Connector[Any], Bench], Awaitable[object]]
CALLS: dict[str, Call] = {
    "find_customers": lambda connector, bench: connector.find_customers(bench.customer()),
    "find_customers with an intent": lambda connector, bench: connector.find_customers(
        bench.customer(), intent=bench.intent()
    ),
    "create_customer": lambda connector, bench: connector.create_customer(bench.customer(), intent=bench.intent()),
    "get_customer": lambda connector, bench: connector.get_customer(bench.harness.absent_id or "none"),
    "check": lambda connector, _: connector.check(),
    "maintain": lambda connector, _: connector.maintain(),
}


@rule("own-errors", Tier.BRONZE, "Nothing but the API's own errors comes out")
async def own_errors(kit: Kit) -> None:
    """Call everything while the service fails in every way, and answers what nobody would expect."""
    faults = [(trouble.words, trouble.fault) for trouble in troubles()]
    faults += [
        (f"HTTP {status} with the body {body[:40]!r}", Fault(kind=FaultKind.GARBAGE, body=body, status=status))
        for body in ODD
        for status in (200, 400, 500)
    ]
    async with kit.bench() as bench:
        connector = bench.connector()
        for name, call in CALLS.items():
            await _only_ours(call(connector, bench), name, "in peace")
            for words, fault in faults:
                bench.plan(
                    Fault(kind=fault.kind, status=fault.status, body=fault.body, times=ALWAYS, seconds=fault.seconds)
                )
                await _only_ours(call(connector, bench), name, f"with {words}")
                bench.proxy.faults.clear()
        await connector.close()


async def _only_ours(call: Awaitable[object], name: str, situation: str) -> None:
    try:
        await call
    except ConnectorError:
        return
    except Exception as error:
        raise RuleBroken(
            f"{name} raised {type(error).__name__} {situation}: turn it into a ConnectorError, best by sending every "
            "request through JsonApi and reading every answer with suspicion"
        ) from error


@rule("throttling", Tier.SILVER, "Throttling is told as such, with the time that the service asks for")
async def throttling(kit: Kit) -> None:
    """Answer 429 with and without Retry-After, to look-ups and to creates."""
    for name in ("find_customers", "create_customer"):
        for asked in (WAIT, None):
            async with kit.bench() as bench:
                connector = bench.connector()
                await connector.find_customers(bench.customer())
                fault = Fault(kind=FaultKind.THROTTLE, retry_after=asked, times=ALWAYS)
                if name == "create_customer":
                    fault = await kit.at_create(FaultKind.THROTTLE, retry_after=asked, times=ALWAYS)
                bench.plan(fault)
                bench.limiter.held.clear()
                error = await _error_of(CALLS[name](connector, bench), name, "HTTP 429")
                with_header = f"HTTP 429 with Retry-After: {asked}" if asked else "HTTP 429 without Retry-After"
                require(
                    isinstance(error, RateLimitedError),
                    f"{name} raised {type(error).__name__} for {with_header}: raise RateLimitedError",
                )
                require(
                    asked is None or (error.retry_after or 0) >= asked,
                    f"{name} lost what {with_header} asks for: retry_after is {error.retry_after}",
                )
                require(
                    bench.limiter.held and max(bench.limiter.held) >= (asked or 0.001),
                    f"{name} did not tell the limiter to hold for {with_header}: it held {bench.limiter.held}",
                )
                require(not bench.records(), f"{name} left a record behind after {with_header}")


@rule("credentials", Tier.SILVER, "Refused credentials pause the connection; old tokens are renewed on the way")
async def credentials(kit: Kit) -> None:
    """Refuse the credentials for good, once in the middle, and let tokens expire."""
    for name in ("find_customers", "create_customer", "check"):
        async with kit.bench() as bench:
            bench.plan(_unauthorized(bench, times=ALWAYS))
            error = await _error_of(CALLS[name](bench.connector(), bench), name, "HTTP 401")
            require(
                isinstance(error, PauseError) and not bench.records(),
                f"{name} raised {type(error).__name__} while the service refused the credentials: raise "
                "AuthenticationError or NeedsReauthError, so that the connection pauses instead of trying on",
            )
        async with kit.bench() as bench:
            connector = bench.connector()
            await connector.find_customers(bench.customer())
            renews = bench.harness.expire_tokens()
            if not renews:
                bench.plan(_unauthorized(bench, times=1))
            try:
                await CALLS[name](connector, bench)
            except ConnectorError as error:
                require(
                    isinstance(error, PauseError) and not renews,
                    f"{name} raised {type(error).__name__} when the access token had expired"
                    f"{': renew it and go on' if renews else ''}",
                )
            expected = int(name == "create_customer")
            require(
                len(bench.records()) <= expected, f"{name} left {len(bench.records())} records when a token expired"
            )


def _unauthorized(bench: Bench, *, times: int) -> Fault:
    body = bench.harness.refusal("the credentials are not valid")
    return Fault(kind=FaultKind.REFUSE, status=401, body=body, times=times)


async def _error_of(call: Awaitable[object], name: str, situation: str) -> ConnectorError:
    try:
        await call
    except ConnectorError as error:
        return error
    raise RuleBroken(f"{name} returned although every request was answered with {situation}")


@rule("deadline", Tier.SILVER, "A service that hangs or drips is given up in time")
async def deadline(kit: Kit) -> None:
    """Hang before and after the work, and send an answer a byte at a time."""
    hang = Fault(kind=FaultKind.HANG_BEFORE, times=ALWAYS, seconds=HANG_SECONDS)
    drip = Fault(kind=FaultKind.DRIP, times=ALWAYS, seconds=HANG_SECONDS)
    create = await kit.at_create(FaultKind.HANG_AFTER, seconds=HANG_SECONDS)
    await asyncio.gather(
        _gives_up(kit, "find_customers", hang, "a service that hangs"),
        _gives_up(kit, "find_customers", drip, "an answer that drips in"),
        _gives_up(kit, "check", hang, "a service that hangs"),
        _gives_up(kit, "create_customer", create, "a service that hangs after the work"),
    )


async def _gives_up(kit: Kit, name: str, fault: Fault, words: str) -> None:
    async with kit.bench() as bench:
        connector = bench.connector()
        await connector.find_customers(bench.customer())
        bench.plan(fault)
        seconds = bench.harness.deadline
        try:
            async with asyncio.timeout(seconds):
                await CALLS[name](connector, bench)
        except ConnectorError as error:
            require(
                name != "create_customer" or error.may_have_written,
                f"{name} raised {type(error).__name__} for {words}, which says that nothing was written",
            )
        except TimeoutError:
            raise RuleBroken(
                f"{name} still waited for {words} after {seconds:g} s: give every request a total time limit"
            ) from None
        else:
            raise RuleBroken(f"{name} returned although every request met {words}")


@rule("cancel-safe", Tier.SILVER, "A cancelled call ends at once, and leaves nothing open")
async def cancel_safe(kit: Kit) -> None:
    """Cancel look-up, create and check in the middle of a request, then use the connector again."""
    for name in ("find_customers", "create_customer", "check"):
        async with kit.bench() as bench:
            connector = bench.connector()
            await connector.find_customers(bench.customer())
            route = await kit.create_route() if name == "create_customer" else "*"
            bench.plan(Fault(kind=FaultKind.HANG_BEFORE, route=route, times=ALWAYS, seconds=HANG_SECONDS))
            task = asyncio.ensure_future(CALLS[name](connector, bench))
            before = len(bench.proxy.calls)
            while not task.done() and not any(call.fault for call in bench.proxy.calls[before:]):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=CANCEL_SECONDS)
            require(done, f"{name} went on for {CANCEL_SECONDS:g} s after it was cancelled")
            require(
                task.cancelled(),
                f"{name} swallowed its cancellation: never catch CancelledError or BaseException without raising it",
            )
            sent = len(bench.proxy.calls)
            await asyncio.sleep(0.02)
            require(bench.limiter.inside == 0, f"{name} kept its place in the limiter after it was cancelled")
            require(len(bench.proxy.calls) == sent, f"{name} sent more requests after it was cancelled")
            bench.proxy.faults.clear()
            await _only_ours(connector.find_customers(bench.customer()), "find_customers", "after a cancelled call")


async def only_own_errors(bench: Bench, calls: Mapping[str, Callable[[], Awaitable[object]]]) -> None:
    """Make calls of a capability under every fault. Raises RuleBroken for an error that is not one of the API's."""
    faults = [(trouble.words, trouble.fault) for trouble in troubles()]
    faults += [
        (f"HTTP {status} with the body {body[:40]!r}", Fault(kind=FaultKind.GARBAGE, body=body, status=status))
        for body in ODD
        for status in (200, 400)
    ]
    for words, fault in faults:
        for name, call in calls.items():
            bench.plan(replace(fault, times=ALWAYS))
            try:
                await call()
            except ConnectorError:
                continue
            except Exception as error:
                raise RuleBroken(f"{name} raised {type(error).__name__} with {words}") from error
    bench.proxy.faults.clear()


RULES = (own_errors, throttling, credentials, deadline, cancel_safe)
