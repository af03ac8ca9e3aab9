"""Whatever is sent, the answer is a problem in words: no traceback, no page, no 5xx for what a caller sends."""

import json
import random
from collections.abc import AsyncIterator

import pytest
import structlog.testing

from gateway.web.api.endpoint import MAX_BODY_BYTES
from gateway.web.api.routes import endpoints
from storage.errors import StoreUnavailableError
from tests.configuring import SOURCE
from tests.harness import ADMIN_KEY, Rig
from tests.integration.api_setup import API, PROBLEM, Callers, configured, exchange

HEAD = f"HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"
KEY = {"name": "k", "role": "viewer"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


NO_ADDRESSES = (
    "/api/v1",
    "/api/v1/",
    "/api/v1/nothing",
    "/api/v2/jobs",
    "/nothing",
    "/api/v1/jobs/",
)


async def test_an_address_that_is_none_is_a_problem_of_its_own(who: Callers) -> None:
    for path in NO_ADDRESSES:
        for caller in (who.admin, who.nobody):
            for method in ("GET", "POST"):
                answer = await caller.ask(method, path)
                assert (answer.status, answer.code) == (404, "route_unknown"), path


async def test_a_method_that_a_route_does_not_know_is_told_with_those_that_it_knows(who: Callers) -> None:
    answer = await who.admin.ask("DELETE", f"{API}/jobs")
    assert (answer.status, answer.code, answer.headers["Allow"]) == (405, "method_not_allowed", "GET, HEAD")
    answer = await who.admin.ask("PATCH", f"{API}/sources/x")
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD, PUT")
    for method in ("OPTIONS", "TRACE", "PROPFIND", "BREW"):
        assert (await who.admin.ask(method, f"{API}/jobs")).status in (400, 405)


async def test_head_answers_as_get_without_a_body(who: Callers) -> None:
    answer = await who.admin.ask("HEAD", f"{API}/jobs")
    assert (answer.status, answer.body) == (200, b"")


UNREADABLE = (
    b"", b"{", b"nul", b"\xff\xfe\x00", b'{"name": "k", "role": "viewer"', b'{"name": "\xff", "role": "viewer"}',
    b'{"name": "\\ud800", "role": "viewer"}', b"[]", b"null", b"5", b'"x"', b"[" * 200_000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000, b"NaN", b'{"name": NaN, "role": "viewer"}',
    b'{"name": "k", "role": "viewer", "more": 1}', b'{"name": "k\\u0000", "role": "viewer"}',
    b'{"name": 1e999, "role": "viewer"}', b'{"name": {"a": 1}, "role": "viewer"}', b'{"name": null}',
)  # fmt: skip


async def test_a_body_that_cannot_be_read_is_refused_in_words(who: Callers) -> None:
    before = await who.admin.items("/keys")
    for body in UNREADABLE:
        answer = await who.admin.ask("POST", f"{API}/keys", raw=body)
        assert (answer.status, answer.code) == (400, "request_invalid"), body[:50]
        assert await who.admin.items("/keys") == before


async def test_the_detail_names_the_place_and_never_the_value(who: Callers) -> None:
    body = {"name": "k", "role": "a-secret-value", "another-secret": 1}
    answer = await who.admin.ask("POST", f"{API}/keys", body)
    detail = answer.json["detail"]
    assert "body.role" in detail
    assert "body.another-secret: unknown name" in detail
    assert "a-secret-value" not in answer.body.decode()
    answer = await who.admin.ask("GET", f"{API}/jobs?limit=a-secret-value&nothing=x")
    assert "query.limit" in answer.json["detail"]
    assert "query.nothing: unknown name" in answer.json["detail"]
    assert "a-secret-value" not in answer.body.decode()


async def test_a_body_of_another_kind_is_refused(who: Callers) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data"):
        answer = await who.admin.ask("POST", f"{API}/keys", KEY, headers={"Content-Type": kind})
        assert (answer.status, answer.code) == (415, "unsupported_media_type")
    for kind in ("application/json; charset=utf-8", "Application/JSON", "text/json"):
        answer = await who.admin.ask("POST", f"{API}/keys", KEY, headers={"Content-Type": kind})
        assert answer.status == 201


async def test_a_body_where_none_is_taken_is_refused_and_an_empty_object_is_none(who: Callers) -> None:
    path = f"{API}/connections/nomod-prod/resume"
    body: object
    for body in ({"force": True}, [], 1):
        answer = await who.admin.ask("POST", path, body)
        assert (answer.status, answer.code) == (400, "request_invalid")
    for raw in (b"", b"{}", b" {} "):
        assert (await who.admin.ask("POST", path, raw=raw)).status == 200


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(who: Callers) -> None:
    answer = await who.admin.ask("POST", f"{API}/keys", raw=b" " * (MAX_BODY_BYTES + 1))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    head = f"POST {API}/keys {HEAD}Content-Length: 99999999999\r\n\r\n"
    answer = await exchange(who.admin.rig, head.encode())
    assert (answer.status, answer.code) == (413, "payload_too_large")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    head = f"POST {API}/keys {HEAD}Transfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(who.admin.rig, head.encode() + chunk * 8 + b"0\r\n\r\n")
    assert (answer.status, answer.code) == (413, "payload_too_large")


async def test_an_encoded_body_is_refused(who: Callers) -> None:
    for encoding in ("gzip", "br", "identity, gzip", "x"):
        answer = await who.admin.ask("POST", f"{API}/keys", KEY, headers={"Content-Encoding": encoding})
        assert (answer.status, answer.code) == (400, "malformed_request")


NO_REQUESTS = (
    f"GET {API}/jobs HTTP/9.9\r\n\r\n",
    f"GET {API}/jobs\r\n\r\n",
    "GET\r\n\r\n",
    "\x00\x01\x02\r\n\r\n",
    f"GET {API}/jobs {HEAD}Bad Header: x\r\n\r\n",
    f"GET {API}/jobs {HEAD}: x\r\n\r\n",
    f"GET {API}/jobs {HEAD}X: \x00\r\n\r\n",
    f"POST {API}/keys {HEAD}Content-Length: x\r\n\r\n",
    f"POST {API}/keys {HEAD}Content-Length: -1\r\n\r\n",
    f"POST {API}/keys {HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    f"POST {API}/keys {HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    f"POST {API}/keys {HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    f"POST {API}/keys {HEAD}Transfer-Encoding: gzip\r\n\r\n",
    f"GET {API}/jobs {HEAD}Expect: 200-maybe\r\n\r\n",
    f"GET {API}/{'x' * 9000} {HEAD}\r\n",
    f"GET {API}/jobs {HEAD}X-Long: {'x' * 20000}\r\n\r\n",
    f"GET {API}/jobs?limit=%zz {HEAD}\r\n",
    f"GET {API}/jobs?cursor=%ff%fe {HEAD}\r\n",
    f"GET {API}/jobs/%ff%fe {HEAD}\r\n",
    f"GET {API}/jobs/%00 {HEAD}\r\n",
    f"GET {API}/jobs/%ed%a0%80 {HEAD}\r\n",
    f"GET {API}/../../etc/passwd {HEAD}\r\n",
    f"GET //evil.example{API}/jobs {HEAD}\r\n",
)


async def test_a_request_that_is_none_is_answered_in_words(who: Callers) -> None:
    for lines in NO_REQUESTS:
        answer = await exchange(who.admin.rig, lines.encode("latin-1"))
        assert 400 <= answer.status < 500, (lines[:50], answer)
        assert answer.headers["Content-Type"] == PROBLEM, lines[:50]
        assert json.loads(answer.body)["code"], lines[:50]


async def test_an_expectation_of_100_continue_is_met(who: Callers) -> None:
    body = json.dumps(KEY)
    kind = "Content-Type: application/json\r\n"
    head = f"POST {API}/keys {HEAD}{kind}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    answer = await exchange(who.admin.rig, head.encode())
    assert answer.status == 100
    assert b"HTTP/1.1 201" in answer.body


async def test_a_store_that_does_not_answer_is_told_as_such(
    rig: Rig, who: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise StoreUnavailableError

    monkeypatch.setattr(type(rig.store), "list_jobs", gone)
    answer = await who.viewer.ask("GET", f"{API}/jobs")
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_bug_is_a_problem_without_a_traceback(rig: Rig, who: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a detail of ours")

    monkeypatch.setattr(type(rig.store), "list_jobs", broken)
    answer = await who.viewer.ask("GET", f"{API}/jobs")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"a detail of ours" not in answer.body
    assert b"Traceback" not in answer.body


async def test_who_has_changed_something_is_logged_and_a_stranger_is_not(who: Callers) -> None:
    with structlog.testing.capture_logs() as lines:
        await who.admin.ask("POST", f"{API}/keys", KEY, headers={"X-Request-ID": "mine-1"})
        await who.admin.ask("GET", f"{API}/keys")
        await who.nobody.ask("POST", f"{API}/keys", KEY)
        await who.nobody.ask("POST", "/nothing", KEY)
    told = [line for line in lines if line["event"] == "request"]
    assert len(told) == 1
    assert {
        "method": "POST", "route": f"{API}/keys", "status": 201, "actor": "admin", "request_id": "mine-1",
    }.items() <= told[0].items()  # fmt: skip


async def test_no_mixture_of_odd_parts_gives_a_5xx(who: Callers, rng: random.Random) -> None:
    """Random requests from odd parts, to every route. The run's seed is printed at its top."""
    odd = [
        "", "x", "%00", "%2F", "..", "%ff", "%F0%9F%92%A9", "a" * 300, "-1", "null", "%7B%7D", "'--", "=", "*",
        "%0d%0a", SOURCE, "customer",
    ]  # fmt: skip
    bodies = [
        b"", b"{}", b"[]", b"null", b'{"all": true}', b'{"decision": "adopt", "provider_entity_id": "\\u0001"}',
        b'{"name": "x", "role": "viewer"}', b'{"connector": "nomod", "config": {"api_key": [[[1]]]}}', b"\x00",
        b'{"provider_entity_id": "' + b"x" * 300 + b'"}', b'{"invoice_id": "..", "connection": "nomod-prod"}',
        b'{"platform": "flexprice", "verification": "static-header", "secrets": ["x"], "options": {"a": {"b": 1}}}',
    ]  # fmt: skip
    names = ("limit", "cursor", "status", "since", "text", "source", "dry_run", "format", "odd")
    for _ in range(15):
        for each in endpoints():
            parts = [rng.choice(odd) if "{" in part else part for part in each.path.split("/")]
            query = "&".join(f"{rng.choice(names)}={rng.choice(odd)}" for _ in range(rng.randrange(3)))
            path = "/".join(parts) + (f"?{query}" if query else "")
            answer = await who.admin.ask(
                each.method, path, raw=rng.choice(bodies) if each.method != "GET" else None,
                headers={"Content-Type": rng.choice(["application/json", "application/json", "text/csv", "x"])},
            )  # fmt: skip
            assert answer.status < 500, (each.method, path, answer)
            if answer.status >= 400:
                assert answer.code
