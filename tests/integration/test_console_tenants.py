"""The tenant next door: what a key of one tenant gets of another in the console, and what the admin key may choose."""

from collections.abc import AsyncIterator

import pytest

from tests.configuring import SOURCE, TENANT
from tests.harness import NOMOD, Rig
from tests.integration.console_routes import FORMS, READING, WRITING, a_life, in_turn, path_of, send, state
from tests.integration.console_setup import ADA, OTHER_TENANT, ROOT, Browsers, configured


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


async def test_another_tenant_sees_nothing_and_changes_nothing(rig: Rig, who: Browsers) -> None:
    names = await a_life(rig)
    before = await state(rig)
    own = {"/connections", "/sources", "/channels", "/settings/keys", "/scope", "/logout", "/login"}
    told = (names["customer_id"], names["delivery_id"], ADA["name"], ADA["email"], NOMOD, SOURCE, TENANT)
    for route in sorted([*READING, *WRITING], key=in_turn):
        if (route.method == "POST" and route.path in own) or route.path == "/live":
            continue
        answer = await send(who.stranger, route, names)
        if "{" in route.path and route.path != "/errors/{code}":
            assert answer.status == 404, (route.path, answer.status, answer.text)
        else:
            assert answer.status in (200, 303, 403), (route.path, answer.status)
        asked = path_of(route, names)
        assert not [each for each in told if each in answer.text and each not in asked], (route.path, answer.text)
    assert await state(rig) == before


async def test_another_tenants_streams_follow_nothing(rig: Rig, who: Browsers) -> None:
    names = await a_life(rig)
    for about, name in (("delivery", "delivery_id"), ("job", "job_id")):
        page = await who.stranger.ask("GET", f"{ROOT}/live?about={about}&id={names[name]}")
        assert page.status == 200
        assert "event: over" in page.html
        assert "change" not in page.html


async def test_a_bound_key_cannot_choose_another_tenant(rig: Rig, who: Browsers) -> None:
    await a_life(rig)
    answer = await who.stranger.post("/scope", {"scope": f"{TENANT}\tprod"})
    page = await who.stranger.follow(answer)
    assert "Your key belongs to one tenant" in page.text
    assert ADA["name"] not in (await who.stranger.get("/customers")).text


async def test_a_tenants_admin_cannot_make_anything_for_another_tenant(rig: Rig, who: Browsers) -> None:
    before = await state(rig)
    elsewhere = {"tenant_id": OTHER_TENANT, "environment_id": "prod"}
    for path in ("/connections", "/sources", "/channels", "/settings/keys"):
        answer = await who.administrator.post(path, {**FORMS[path], **elsewhere})
        page = await who.administrator.follow(answer) if answer.status == 303 else answer
        assert page.status in (200, 403), path
        assert "made" not in [row.name for row in await rig.store.list_keys()]
    assert await state(rig) == before


async def test_the_admin_key_sees_every_tenant_or_the_one_that_it_chooses(rig: Rig, who: Browsers) -> None:
    await a_life(rig)
    assert ADA["name"] in (await who.admin.get("/customers")).text
    await who.admin.post("/scope", {"scope": f"{OTHER_TENANT}\tprod"})
    assert ADA["name"] not in (await who.admin.get("/customers")).text
    await who.admin.post("/scope", {"scope": ""})
    assert ADA["name"] in (await who.admin.get("/customers")).text
