"""What the console has for whoever keeps the gateway: keys, the audit, settings, the check-up, and diagnostics."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ADA, ROOT, Browsers, configured, linked


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(rig: Rig, who: Browsers) -> None:
    page = await who.administrator.get("/settings/keys")
    made = await who.administrator.submit(page, "/settings/keys", name="Monday's assistant", role="viewer")
    key = made.html[made.html.index("lgk_") :].partition("<")[0]
    assert made.headers["Cache-Control"] == "no-store"
    assert (await who.nobody.log_in(key)).status == 303
    listed = await who.administrator.get("/settings/keys")
    assert "Monday's assistant" in listed.text
    assert key not in listed.html
    row = next(row for row in await rig.store.list_keys() if row.name == "Monday's assistant")
    await who.administrator.submit(listed, f"/settings/keys/{row.key_id}/revoke")
    assert (await who.nobody.ask("GET", f"{ROOT}/jobs")).status == 303
    for name in ("", "x" * 101, "a\nb"):
        refused = await who.administrator.follow(
            await who.administrator.post("/settings/keys", {"name": name, "role": "viewer"})
        )
        assert "No key was made" in refused.text
    refused = await who.administrator.follow(
        await who.administrator.post("/settings/keys", {"name": "x", "role": "king"})
    )
    assert "choose a role" in refused.text


async def test_the_audit_tells_who_did_what(rig: Rig, who: Browsers) -> None:
    await who.operator.post(f"/connections/{NOMOD}/pause", {"reason": "books are closed"})
    page = await who.viewer.get("/audit")
    assert "connection.paused" in page.text
    assert "key:operator" in page.text
    mine = await who.viewer.get(f"/audit?subject={NOMOD}")
    assert (page.html.count("<tr><td>"), mine.html.count("<tr><td>")) == (6, 2)
    assert "books are closed" not in mine.text


async def test_settings_are_the_admin_keys_and_hold_no_secret(rig: Rig, who: Browsers) -> None:
    page = await who.admin.get("/settings")
    assert "LEDGERGATE_RETENTION_DAYS" in page.text
    assert "set, never shown" in page.text
    for browser in (who.viewer, who.administrator):
        assert "LEDGERGATE_RETENTION_DAYS" not in (await browser.get("/settings")).text


async def test_the_check_up_says_what_doctor_says(rig: Rig, who: Browsers) -> None:
    await rig.pause(NOMOD)
    page = await who.admin.post("/settings/check-up")
    assert page.status == 200
    assert f"Connection {NOMOD} is paused" in page.text
    assert "Attention" in page.text


async def test_diagnostics_hold_states_and_neither_secrets_nor_people(rig: Rig, who: Browsers) -> None:
    customer, delivery = await linked(rig)
    answer = await who.admin.get("/settings/diagnostics")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    told = json.loads(answer.body)
    assert {"version", "settings", "sources", "connections", "findings", "backlog", "plugins"} <= set(told)
    assert told["connections"][0]["name"] == NOMOD
    for hidden in (ADA["name"], ADA["email"], customer, delivery, rig.secret, rig.nomod.api_key):
        assert hidden not in answer.html, hidden
