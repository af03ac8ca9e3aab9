"""Who may do what in the console: every route against every kind of key, forged forms, and what no answer holds."""

import re
from collections.abc import AsyncIterator

import pytest

from gateway.access import Role
from gateway.console.forms import TOKEN_FIELD
from gateway.console.guard import HEADERS, Route
from gateway.console.routes import ROUTES
from storage.records import EVERYWHERE
from tests.configuring import TENANT
from tests.harness import ADMIN_KEY, NOMOD, Rig
from tests.integration.console_routes import FORMS, NOTHING, READING, WRITING, a_life, in_turn, path_of, send, state
from tests.integration.console_setup import ROOT, Browsers, configured


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


def test_every_address_of_the_console_is_in_the_table(rig: Rig) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in rig.gateway.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith(ROOT) and route.method != "HEAD"
    }
    known = {(route.method, ROOT + re.sub(r":[^}]*}", "}", route.path)) for route in ROUTES}
    assert routes - known == {("GET", f"{ROOT}/"), ("*", ROOT + "/{anything}")}
    assert known <= routes


def test_whatever_changes_something_needs_more_than_a_viewer_and_is_no_get() -> None:
    own = {"/login", "/logout", "/scope"}
    assert all(route.needs in (Role.OPERATOR, Role.ADMIN) for route in WRITING if route.path not in own)
    assert {route.path for route in ROUTES if route.needs is None} == {"/static/{name}", "/login"}


async def test_without_a_login_every_page_leads_to_the_login_and_no_form_is_taken(rig: Rig, who: Browsers) -> None:
    before = await state(rig)
    for route in [*READING, *WRITING]:
        if route.needs is None:
            continue
        answer = await send(who.nobody, route, NOTHING)
        assert answer.status == 303, route.path
        assert answer.location.startswith(f"{ROOT}/login"), route.path
    assert await state(rig) == before


async def test_without_a_login_streams_and_the_script_are_told_401(who: Browsers) -> None:
    stream = await who.nobody.ask("GET", f"{ROOT}/live?about=overview", headers={"Accept": "text/event-stream"})
    script = await who.nobody.ask("GET", ROOT, headers={"X-Live": "1"})
    assert (stream.status, script.status) == (401, 401)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_may_do_what_its_routes_say_and_nothing_else(rig: Rig, who: Browsers, role: Role) -> None:
    names = await a_life(rig)
    browser = who.of(role)
    for route in sorted([*READING, *WRITING], key=in_turn):
        if route.needs is None or route.path == "/live":
            continue
        answer = await send(browser, route, names)
        allowed = role.covers(route.needs) and not route.everywhere
        if allowed:
            assert answer.status in (200, 303, 400, 409), (route.path, answer.status, answer.text)
            assert route.path == "/logout" or not answer.headers.get("Location", "").startswith(f"{ROOT}/login")
        else:
            assert answer.status == 403, (route.path, answer.text)


async def test_the_admin_key_may_do_all_of_it(rig: Rig, who: Browsers) -> None:
    names = await a_life(rig)
    for route in sorted([*READING, *WRITING], key=in_turn):
        if route.path in ("/live", "/login", "/scope"):
            continue
        filled = {**FORMS.get(route.path, {}), "tenant_id": TENANT, "environment_id": "prod"}
        path = path_of(route, names)
        given = {key: value.format(**names) for key, value in filled.items()}
        answer = await (who.admin.ask("GET", ROOT + path) if route.method == "GET" else who.admin.post(path, given))
        assert answer.status in (200, 303, 400, 409), (route.path, answer.status, answer.text)


@pytest.mark.parametrize("role", list(Role))
async def test_nobody_is_shown_a_button_or_a_link_that_is_refused(rig: Rig, who: Browsers, role: Role) -> None:
    names = await a_life(rig)
    await rig.pause(NOMOD)
    browser, offered = who.of(role), 0
    for route in READING:
        if route.path == "/live" or route.everywhere or not role.covers(route.needs or role):
            continue
        page = await send(browser, route, names)
        for form in page.forms:
            if form.method == "POST":
                taken = next(each for each in WRITING if re.fullmatch(pattern(each), form.action))
                assert role.covers(taken.needs or role), (route.path, form.action)
                assert not taken.everywhere, (route.path, form.action)
                offered += 1
        for link in page.links if page.status == 200 else []:
            path = link.removeprefix(rig.gateway.url).partition("?")[0]
            led = next((each for each in READING if re.fullmatch(pattern(each), path)), None)
            assert led is None or role.covers(led.needs or role), (route.path, link)
    assert offered > {Role.VIEWER: 10, Role.OPERATOR: 20, Role.ADMIN: 30}[role]


def pattern(route: Route) -> str:
    """Return what addresses of a route look like. Fixed ones stand before those with names, in the table and here."""
    return re.sub(r"{\w+(?::[^}]*)?}", "[^/]+", ROOT + route.path)


async def test_a_form_without_the_sessions_own_token_changes_nothing(rig: Rig, who: Browsers) -> None:
    names = await a_life(rig)
    before = await state(rig)
    forged = ({TOKEN_FIELD: ""}, {TOKEN_FIELD: "x" * 43}, {TOKEN_FIELD: who.stranger.token}, {TOKEN_FIELD: "ключ"})
    for route in WRITING:
        for token in forged:
            filled = {key: value.format(**names) for key, value in FORMS.get(route.path, {}).items()}
            answer = await who.administrator.post(path_of(route, names), {**filled, **token})
            assert answer.status == 403, (route.path, token)
    assert await state(rig) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_that_another_site_sends_changes_nothing_even_with_the_token(
    rig: Rig, who: Browsers, site: str
) -> None:
    names = await a_life(rig)
    before = await state(rig)
    for route in WRITING:
        answer = await send(who.administrator, route, names, headers={"Sec-Fetch-Site": site})
        assert answer.status == 403, route.path
    assert await state(rig) == before


async def test_every_answer_forbids_inline_code_frames_and_caching(rig: Rig, who: Browsers) -> None:
    names = await a_life(rig)
    style = re.search(r'href="(/console/static/[^"]+)"', (await who.nobody.get("/login")).html)
    assert style is not None
    answers = [await send(who.viewer, route, names) for route in READING if route.path != "/live"]
    answers += [
        await who.nobody.ask("GET", "/"), await who.nobody.ask("GET", ROOT), await who.nobody.get("/login"),
        await who.viewer.get("/none", status=404),
        await who.viewer.post("/sources", {}), await who.viewer.ask("GET", style[1]),
    ]  # fmt: skip
    for answer in answers:
        missing = {name: value for name, value in HEADERS.items() if answer.headers.get(name) != value}
        assert not missing, (answer.url, missing)
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert ("immutable" if "/static/" in answer.url else "no-store") in answer.headers["Cache-Control"]
        assert not re.search(r"<style|<script>| on\w+=\"| style=\"|javascript:", answer.html), answer.url


async def test_no_page_holds_a_secret(rig: Rig, who: Browsers) -> None:
    names = await a_life(rig)
    await rig.add_quickbooks()
    await rig.send(b"not json at all")
    secrets = [
        rig.secret, rig.flexprice.api_key, rig.nomod.api_key, rig.intuit.client_secret, ADMIN_KEY, *who.keys.values(),
    ]  # fmt: skip
    secrets += [row.hash.hex() for row in await rig.store.list_keys()]
    for connection in await rig.store.list_connections(EVERYWHERE):
        tokens = await rig.store.load_tokens(connection.name)
        secrets += [tokens.payload.hex()] if tokens is not None else []
    todo, seen = [f"{rig.gateway.url}{ROOT}"], set[str]()
    todo += [rig.gateway.url + ROOT + path_of(route, names) for route in READING if route.path != "/live"]
    while todo:
        url = todo.pop()
        if url in seen or "/logout" in url or len(seen) > 400:
            continue
        seen.add(url)
        page = await who.admin.ask("GET", url.removeprefix(rig.gateway.url))
        assert page.status in (200, 303), url
        assert not [secret for secret in secrets if secret in page.html], url
        if "text/html" in page.headers.get("Content-Type", ""):
            todo += [link.partition("#")[0] for link in page.links if f"{ROOT}/" in link and "/static/" not in link]
    assert len(seen) > 60
