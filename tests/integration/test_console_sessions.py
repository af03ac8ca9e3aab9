"""Logging in and out of the console: cookies, their end, wrong keys, and where a login may lead."""

import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.console.routes import LOGIN_BURST
from gateway.console.session import IDLE, LIFE, MAX_ENDED, RENEW
from gateway.console.visit import CONSOLE, SESSION_COOKIE
from tests.harness import ADMIN_KEY, Rig, open_rig
from tests.integration.api_setup import eventually
from tests.integration.console_setup import ROOT, Browser, Browsers, browsers


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """Browsers with each kind of key."""
    await rig.add_nomod()
    async with browsers(rig) as opened:
        yield opened


async def is_in(browser: Browser) -> bool:
    """Whether the console takes this browser for somebody."""
    return (await browser.ask("GET", f"{ROOT}/jobs")).status == 200


async def test_the_bare_address_leads_to_the_console(rig: Rig) -> None:
    async with browsers(rig) as who, who.nobody.session.get(f"{rig.gateway.url}/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, ROOT)


async def test_a_right_key_opens_a_session_that_no_script_and_no_other_site_gets(who: Browsers) -> None:
    cookie = next(line for line in reversed(who.viewer.set_cookies) if line.startswith(SESSION_COOKIE))
    assert {"HttpOnly", "SameSite=Strict", f"Path={ROOT}"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert who.keys["viewer"] not in cookie
    assert await is_in(who.viewer)


async def test_the_cookie_is_for_tls_only_where_the_gateway_is_reached_so(tmp_path: Path) -> None:
    async with open_rig(tmp_path, public_url="https://hooks.example/below") as rig, browsers(rig) as who:
        await who.nobody.get("/login", headers={"Host": "hooks.example"})
        assert "Secure" in who.nobody.set_cookies[-1]
        await who.nobody.get("/login", headers={"Host": "127.0.0.1"})
        assert len(who.nobody.set_cookies) == 1


async def test_the_cookie_names_the_key_by_a_reference_and_never_holds_it(who: Browsers) -> None:
    payload = who.admin.cookies[SESSION_COOKIE].partition(".")[0]
    told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert set(told) == {"sid", "reference", "begun", "used", "tenant_id", "environment_id"}
    assert ADMIN_KEY not in str(told)
    assert re.fullmatch(r"admin:[0-9a-f]{32}", told["reference"])


async def test_a_login_begins_a_new_session(who: Browsers) -> None:
    await who.nobody.get("/login")
    before = who.nobody.cookies[SESSION_COOKIE]
    await who.nobody.log_in()
    assert who.nobody.cookies[SESSION_COOKIE] != before
    planted = Browser(who.nobody.rig, who.nobody.session)
    planted.cookies[SESSION_COOKIE] = before
    assert not await is_in(planted)


@pytest.mark.parametrize("key", ["", "wrong", "lgk_" + "x" * 43, "ключ", "x" * 5000, "admin:", ADMIN_KEY[:-1]])
async def test_a_wrong_key_is_refused_and_not_repeated(who: Browsers, key: str) -> None:
    answer = await who.nobody.log_in(key)
    assert answer.status == 401
    assert "unknown or was revoked" in answer.text
    assert len(key) < 10 or key not in answer.html
    assert not await is_in(who.nobody)


async def test_many_wrong_keys_cost_time_and_a_right_one_still_works_for_who_had_one_before(rig: Rig) -> None:
    async with browsers(rig) as who:
        fresh = rig.gateway.app[CONSOLE]
        fresh.throttle._known.clear()
        for _ in range(LOGIN_BURST):
            assert (await who.nobody.log_in("wrong")).status == 401
        answer = await who.nobody.log_in("wrong")
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert "Too many wrong keys" in answer.text
        assert (await who.nobody.log_in(ADMIN_KEY)).status == 429
        fresh.throttle.right("127.0.0.1")
        assert (await who.nobody.log_in(ADMIN_KEY)).status == 303


async def test_a_login_form_of_another_session_is_refused(who: Browsers) -> None:
    await who.nobody.get("/login")
    answer = await who.nobody.post("/login", {"key": ADMIN_KEY, "_token": who.viewer.token})
    assert answer.status == 403
    assert not await is_in(who.nobody)


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/login", "/logout", "x",
        "/a\r\nSet-Cookie: a=b", "/" + "x" * 2000, "/console/../..", "\t//evil.example",
    ],
)  # fmt: skip
async def test_a_login_leads_nowhere_else(who: Browsers, path: str) -> None:
    answer = await who.nobody.log_in(next_path=path)
    assert answer.location == ROOT


async def test_a_login_leads_to_the_page_that_was_wanted(who: Browsers) -> None:
    asked = await who.nobody.ask("GET", f"{ROOT}/jobs?status=failed")
    page = await who.nobody.ask("GET", asked.location)
    assert page.form("/login").fields["next"] == "/jobs?status=failed"
    answer = await who.nobody.log_in(next_path="/jobs?status=failed")
    assert answer.location == f"{ROOT}/jobs?status=failed"


async def test_a_link_on_another_site_asks_again_from_a_page_of_our_own(who: Browsers) -> None:
    stranger = Browser(who.viewer.rig, who.viewer.session)
    page = await stranger.get("/jobs?status=failed", headers={"Sec-Fetch-Site": "cross-site"})
    assert page.headers["Refresh"] == f"0;url={ROOT}/jobs?status=failed"
    again = await stranger.ask("GET", f"{ROOT}/jobs", headers={"Sec-Fetch-Site": "same-origin"})
    assert again.location.startswith(f"{ROOT}/login")


async def test_a_session_ends_when_it_is_not_used(rig: Rig, who: Browsers) -> None:
    rig.clock.advance(IDLE.total_seconds() - 60)
    assert await is_in(who.viewer)
    rig.clock.advance(IDLE.total_seconds() - 60)
    assert await is_in(who.viewer)
    rig.clock.advance(IDLE.total_seconds() + 1)
    assert not await is_in(who.viewer)


async def test_a_session_in_use_ends_all_the_same(rig: Rig, who: Browsers) -> None:
    rounds = int(LIFE / (IDLE / 2))
    for _ in range(rounds - 1):
        rig.clock.advance(IDLE.total_seconds() / 2)
        assert await is_in(who.viewer)
    rig.clock.advance(IDLE.total_seconds() / 2 + 60)
    assert not await is_in(who.viewer)


async def test_the_cookie_is_written_again_only_now_and_then(rig: Rig, who: Browsers) -> None:
    before = len(who.viewer.set_cookies)
    assert await is_in(who.viewer)
    assert len(who.viewer.set_cookies) == before
    rig.clock.advance(RENEW.total_seconds() + 1)
    assert await is_in(who.viewer)
    assert len(who.viewer.set_cookies) == before + 1


async def test_a_revoked_key_ends_its_sessions_and_no_other(rig: Rig, who: Browsers) -> None:
    row = next(key for key in await rig.store.list_keys() if key.name == "viewer")
    answer = await who.admin.post(f"/settings/keys/{row.key_id}/revoke")
    assert answer.status == 303
    assert not await is_in(who.viewer)
    assert await is_in(who.operator)


async def test_a_logout_ends_every_copy_of_the_cookie_after_a_restart_too(rig: Rig, who: Browsers) -> None:
    copy = Browser(rig, who.viewer.session)
    copy.cookies.update(who.viewer.cookies)
    other = Browser(rig, who.viewer.session)
    await other.log_in(who.keys["viewer"])
    page = await who.viewer.follow(await who.viewer.post("/logout"))
    assert "You are logged out" in page.text
    assert not await is_in(who.viewer)
    assert not await is_in(copy)
    assert await is_in(other)
    await rig.restart()
    assert not await is_in(copy)
    assert await is_in(other)


async def test_what_is_remembered_of_ended_sessions_is_bounded(rig: Rig, who: Browsers) -> None:
    for _ in range(5):
        browser = Browser(rig, who.viewer.session)
        await browser.log_in(who.keys["viewer"])
        await browser.post("/logout")
    row = next(key for key in await rig.store.list_keys() if key.name == "viewer")
    kept = json.loads(await rig.store.get_fact("console", f"ended:{row.key_id}") or "{}")
    assert len(kept) == 5 <= MAX_ENDED
    rig.clock.advance(LIFE.total_seconds() + 1)
    await who.operator.log_in(who.keys["viewer"])
    await who.operator.post("/logout")
    kept = json.loads(await rig.store.get_fact("console", f"ended:{row.key_id}") or "{}")
    assert len(kept) == 1


async def test_another_admin_key_ends_the_sessions_of_the_one_before(rig: Rig, who: Browsers) -> None:
    await rig.stop_nodes()
    rig.settings = rig.settings.model_copy(update={"admin_key": SecretStr("another-admin-key-of-the-tests")})
    await rig.start_node()
    assert not await is_in(who.admin)
    assert await is_in(who.viewer)


async def test_a_session_of_another_installation_is_worth_nothing(tmp_path: Path, who: Browsers) -> None:
    async with open_rig(tmp_path / "other") as other:
        stranger = Browser(other, who.admin.session)
        stranger.cookies.update(who.admin.cookies)
        assert not await is_in(stranger)


async def test_a_changed_cookie_is_worth_nothing(who: Browsers) -> None:
    payload, _, mac = who.viewer.cookies[SESSION_COOKIE].partition(".")
    told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    admin = {**told, "reference": "admin:" + "0" * 32}
    forged = base64.urlsafe_b64encode(json.dumps(admin).encode()).rstrip(b"=").decode()
    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]
    values = [
        f"{forged}.{mac}", f"{payload}.{flipped}", f"{payload}.", f".{mac}", payload, f"{payload}.{mac}.{mac}",
        f"{payload}!.{mac}", "", "x" * 5000, f"{payload}.{mac[:-2]}",
    ]  # fmt: skip
    for value in values:
        stranger = Browser(who.viewer.rig, who.viewer.session)
        stranger.cookies[SESSION_COOKIE] = value
        assert not await is_in(stranger), value


async def test_what_was_said_to_one_session_is_not_shown_to_another(who: Browsers) -> None:
    answer = await who.operator.post("/connections/nomod-prod/pause", {"reason": "tests"})
    assert answer.status == 303
    note = who.operator.cookies["ledgergate_note"]
    who.viewer.cookies["ledgergate_note"] = note
    assert "Paused. Its jobs wait" not in (await who.viewer.get("/connections")).text
    assert "Paused. Its jobs wait" in (await who.operator.get("/connections")).text
    assert "Paused. Its jobs wait" not in (await who.operator.get("/connections")).text


async def test_using_the_console_counts_as_using_the_key(rig: Rig, who: Browsers) -> None:
    assert await is_in(who.viewer)

    async def written() -> bool:
        return all(key.last_used_at for key in await rig.store.list_keys() if key.name == "viewer")

    await eventually(written)
