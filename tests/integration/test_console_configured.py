"""Connections and sources that stand, in the console: tested, paused, disabled, and removed."""

from collections.abc import AsyncIterator

import pytest

from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ADA, ROOT, Browsers, configured
from tests.invariants import every


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


async def test_a_connection_is_paused_with_a_reason_and_resumed_where_it_needs_somebody(
    rig: Rig, who: Browsers
) -> None:
    page = await who.operator.get(f"/connections/{NOMOD}")
    after = await who.operator.submit(page, f"/connections/{NOMOD}/pause", reason="Books are closed")
    assert "Books are closed" in after.text
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    needs = await who.operator.get("/needs")
    assert "1 job waits" in needs.text
    after = await who.operator.submit(needs, f"/connections/{NOMOD}/resume")
    assert "Active again" in after.text
    await rig.finish()
    assert len(rig.nomod.customers) == 1


async def test_a_test_names_the_account_or_says_what_is_wrong(rig: Rig, who: Browsers) -> None:
    good = await who.operator.follow(await who.operator.post(f"/connections/{NOMOD}/test"))
    assert "The credentials work" in good.text
    await rig.add_nomod("another", api_key="sk_test_of_somebody_else")
    bad = await who.operator.post("/connections/another/test")
    assert bad.status == 502
    assert "authentication_failed" in bad.text


async def test_a_connection_and_a_source_go_only_when_their_names_are_typed(rig: Rig, who: Browsers) -> None:
    for kind, name in (("connections", NOMOD), ("sources", SOURCE)):
        kept = await who.administrator.follow(
            await who.administrator.post(f"/{kind}/{name}/remove", {"sure": "something else"})
        )
        assert "Nothing was removed" in kept.text
        page = await who.administrator.get(f"/{kind}/{name}")
        gone = await who.administrator.submit(page, f"/{kind}/{name}/remove", sure=name)
        assert f"{name} is removed" in gone.text
        await who.administrator.get(f"/{kind}/{name}", status=404)


@pytest.mark.parametrize("name", ["none", "a%0d%0aSet-Cookie:%20x=1", "%2F%2Fevil.example", "%00", "..%2f.."])
async def test_a_name_that_nothing_has_is_not_found_whatever_it_is_made_of(who: Browsers, name: str) -> None:
    for path in (f"/connections/{name}", f"/sources/{name}"):
        assert (await who.administrator.ask("GET", ROOT + path)).status == 404, path
        for act in ("remove", "edit", "test"):
            answer = await who.administrator.post(f"{path}/{act}", {"sure": "x"})
            assert answer.status == 404, (path, act)
            assert "evil" not in answer.headers.get("Location", "")


async def test_a_test_event_goes_through_the_real_door(rig: Rig, who: Browsers) -> None:
    page = await who.operator.get(f"/sources/{SOURCE}")
    after = await who.operator.submit(page, f"/sources/{SOURCE}/test")
    assert "A signed test event was accepted" in after.text
    assert after.heading.startswith("ledgergate.test")
    deliveries = await every(rig.store.list_deliveries)
    assert [delivery.event_type for delivery in deliveries] == ["ledgergate.test"]


async def test_a_source_is_disabled_and_enabled(rig: Rig, who: Browsers) -> None:
    page = await who.administrator.get(f"/sources/{SOURCE}")
    off = await who.administrator.submit(page, f"/sources/{SOURCE}/switch", do="disable")
    assert "Disabled" in off.text
    assert (await rig.post(b"{}")).status == 404
    on = await who.administrator.submit(off, f"/sources/{SOURCE}/switch", do="enable")
    assert "Receiving again" in on.text
    assert (await rig.post(b"{}")).status == 202
