"""What each planned fault looks like to a caller, and that the ledger says whether the service did its work."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable

import aiohttp
import pytest
from aiohttp import web

from connectors.testing.simulator import DOES_THE_WORK, Call, Fault, FaultKind, Moment, Simulator

FULL = {"id": "1", "text": "all of it"}


class Counter(Simulator):
    """The smallest service that does something: it counts its POSTs."""

    def __init__(self) -> None:
        super().__init__()
        self.done = 0

    def routes(self) -> Iterable[web.RouteDef]:
        async def post(_: web.Request) -> web.Response:
            self.done += 1
            return web.json_response(FULL, headers={"X-Service": "counter"})

        return [web.post("/things", post)]


@pytest.fixture
async def service() -> AsyncIterator[Counter]:
    async with Counter() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def post(client: aiohttp.ClientSession, service: Counter) -> tuple[int, bytes]:
    async with client.post(f"{service.url}/things", data=b"{}", allow_redirects=False) as answer:
        return answer.status, await answer.read()


async def test_without_a_fault_the_work_is_done_and_the_call_says_so(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    status, _ = await post(client, service)
    (call,) = service.calls
    assert (status, call.status, call.worked, call.fault, service.done) == (200, 200, True, None, 1)
    assert (call.route, call.body, call.number) == ("POST /things", b"{}", 1)


STATUSES = {
    FaultKind.REFUSE: 400,
    FaultKind.ECHO: 400,
    FaultKind.THROTTLE: 429,
    FaultKind.FAIL_BEFORE: 500,
    FaultKind.FAIL_AFTER: 500,
    FaultKind.GARBAGE: 200,
    FaultKind.HTML: 503,
    FaultKind.REDIRECT: 302,
    FaultKind.DRIP: 200,
}
BROKEN = set(FaultKind) - STATUSES.keys()


@pytest.mark.parametrize("kind", STATUSES)
async def test_a_fault_with_an_answer_answers_its_status_and_the_ledger_tells_whether_it_worked(
    service: Counter, client: aiohttp.ClientSession, kind: FaultKind
) -> None:
    service.faults.add(Fault(kind=kind, seconds=0.01))
    status, _ = await post(client, service)
    (call,) = service.calls
    assert (status, call.status, call.fault) == (STATUSES[kind], STATUSES[kind], kind)
    assert call.worked is (kind in DOES_THE_WORK)
    assert service.done == int(call.worked)


@pytest.mark.parametrize("kind", sorted(BROKEN))
async def test_a_fault_that_breaks_the_connection_leaves_the_caller_without_a_whole_answer(
    service: Counter, client: aiohttp.ClientSession, kind: FaultKind
) -> None:
    service.faults.add(Fault(kind=kind, seconds=0.01))
    with pytest.raises(aiohttp.ClientError):
        await post(client, service)
    (call,) = service.calls
    assert call.worked is (kind in DOES_THE_WORK)
    assert service.done == int(call.worked)
    assert call.status == (200 if kind is FaultKind.HALF else None)
    assert await post(client, service) == (200, web.json_response(FULL).body)


async def test_an_echo_quotes_body_query_and_headers(service: Counter, client: aiohttp.ClientSession) -> None:
    service.faults.add(Fault(kind=FaultKind.ECHO))
    url = f"{service.url}/things?email=ada@example.com"
    async with client.post(url, json={"name": "Ada"}, headers={"X-Api-Key": "sesame"}) as answer:
        words = (await answer.json())["error"]["message"]
    assert [word for word in ("Ada", "ada@example.com", "sesame") if word not in words] == []


async def test_half_an_answer_arrives_as_a_status_and_too_few_bytes(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    service.faults.add(Fault(kind=FaultKind.HALF))
    async with client.post(f"{service.url}/things") as answer:
        assert (answer.status, answer.headers["X-Service"]) == (200, "counter")
        first = await answer.content.readany()
        assert first
        assert len(first) < int(answer.headers["Content-Length"])
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.readany()


async def test_a_dripped_answer_is_whole_in_the_end(service: Counter, client: aiohttp.ClientSession) -> None:
    service.faults.add(Fault(kind=FaultKind.DRIP, seconds=0.05))
    async with client.post(f"{service.url}/things") as answer:
        assert await answer.json() == FULL


@pytest.mark.parametrize("kind", [FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER])
async def test_a_hang_outlasts_the_callers_patience_and_the_truth_is_in_the_ledger(
    service: Counter, client: aiohttp.ClientSession, kind: FaultKind
) -> None:
    service.faults.add(Fault(kind=kind, seconds=600))
    with pytest.raises(TimeoutError):
        async with client.post(f"{service.url}/things", timeout=aiohttp.ClientTimeout(total=0.2)):
            pass
    (call,) = service.calls
    assert call.status is None
    assert call.worked is (kind is FaultKind.HANG_AFTER)


async def test_stopping_the_service_does_not_wait_for_a_hung_request(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    service.faults.add(Fault(kind=FaultKind.HANG_AFTER, seconds=600))
    worked = asyncio.Event()

    async def note(_: Call, moment: Moment) -> None:
        if moment is Moment.AFTER:
            worked.set()

    service.hook = note
    waiting = asyncio.create_task(post(client, service))
    await worked.wait()
    async with asyncio.timeout(20):
        await service.stop()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_a_throttle_carries_the_services_own_body_and_the_planned_wait(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    service.faults.add(Fault(kind=FaultKind.THROTTLE, retry_after=7), Fault(kind=FaultKind.THROTTLE))
    async with client.post(f"{service.url}/things") as answer:
        assert answer.headers["Retry-After"] == "7"
        assert await answer.read() == service.throttled_body
    async with client.post(f"{service.url}/things") as answer:
        assert "Retry-After" not in answer.headers


async def test_a_refusal_answers_exactly_what_was_planned_even_an_empty_body(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    service.faults.add(Fault(kind=FaultKind.REFUSE, status=409, body=b"", content_type="text/plain"))
    assert await post(client, service) == (409, b"")


async def test_faults_are_taken_by_route_after_the_good_requests_and_as_often_as_planned(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    service.faults.add(
        Fault(kind=FaultKind.REFUSE, route="GET *"),
        Fault(kind=FaultKind.REFUSE, route="POST /thing?", skip=1, times=2),
    )
    assert [(await post(client, service))[0] for _ in range(4)] == [200, 400, 400, 200]
    assert [fault.route for fault in service.faults.faults] == ["GET *"]


async def test_one_fault_planned_twice_happens_twice(service: Counter, client: aiohttp.ClientSession) -> None:
    fault = Fault(kind=FaultKind.REFUSE, skip=1)
    service.faults.add(fault, fault)
    assert [(await post(client, service))[0] for _ in range(4)] == [200, 400, 400, 200]


async def test_cleared_faults_do_not_happen(service: Counter, client: aiohttp.ClientSession) -> None:
    service.faults.add(Fault(kind=FaultKind.REFUSE, times=9))
    service.faults.clear()
    assert (await post(client, service))[0] == 200


@pytest.mark.parametrize("times,skip", [(0, 0), (-1, 0), (1, -1)])
def test_a_fault_that_could_never_happen_is_refused(times: int, skip: int) -> None:
    with pytest.raises(ValueError, match="at least once"):
        Fault(kind=FaultKind.REFUSE, times=times, skip=skip)


async def test_the_hook_runs_before_and_after_the_work_of_each_request(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    seen: list[tuple[Moment, bool, int]] = []

    async def look(call: Call, moment: Moment) -> None:
        seen.append((moment, call.worked, service.done))

    service.hook = look
    await post(client, service)
    assert seen == [(Moment.BEFORE, False, 0), (Moment.AFTER, True, 1)]


async def test_an_unknown_path_or_method_is_answered_and_noted(service: Counter, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{service.url}/things") as wrong_method, client.get(f"{service.url}/else") as unknown:
        assert (wrong_method.status, wrong_method.headers["Allow"], unknown.status) == (405, "POST", 404)
    assert [call.status for call in service.calls] == [405, 404]
    assert [call.route for call in service.calls_of("GET /th*")] == ["GET /things"]


async def test_a_service_that_goes_down_comes_back_on_the_same_port_with_its_state(
    service: Counter, client: aiohttp.ClientSession
) -> None:
    address = service.url
    await post(client, service)
    await service.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(client, service)
    await service.start()
    assert service.url == address
    await post(client, service)
    assert service.done == 2


async def test_nobody_gets_the_port_of_a_service_that_is_down(service: Counter) -> None:
    await service.stop()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", int(service.url.rpartition(":")[2])))
    await service.start()


async def test_only_the_latest_calls_are_kept(service: Counter, client: aiohttp.ClientSession) -> None:
    service.calls_kept = 2
    for _ in range(3):
        await post(client, service)
    assert [call.number for call in service.calls] == [2, 3]
    assert service.done == 3


async def test_a_second_start_and_an_address_before_the_first_are_refused(service: Counter) -> None:
    with pytest.raises(RuntimeError, match="already"):
        await service.start()
    with pytest.raises(RuntimeError, match="before it was started"):
        _ = Counter().url
