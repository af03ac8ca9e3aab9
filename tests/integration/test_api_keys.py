"""Keys over HTTP: shown once, bound to what their role may, and revoked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.configuring import TENANT
from tests.harness import Rig
from tests.integration.api_setup import API, Caller, Callers, callers

NO_KEYS: tuple[dict[str, Any], ...] = (
    {}, {"name": "x"}, {"role": "viewer"}, {"name": "", "role": "viewer"}, {"name": "x", "role": "root"},
    {"name": "x" * 101, "role": "viewer"}, {"name": "x", "role": "viewer", "key": "mine"},
    {"name": 1, "role": "viewer"},
)  # fmt: skip


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with callers(rig) as made:
        yield made


async def test_a_key_is_shown_once_and_does_what_its_role_may(rig: Rig, who: Callers) -> None:
    made = await who.administrator.post("/keys", {"name": "monitoring", "role": "viewer"}, status=201)
    assert (made["role"], made["tenant_id"], made["status"]) == ("viewer", TENANT, "active")
    caller = Caller(rig, who.admin.session, made["key"])
    listed = await caller.items("/keys")
    # The first three may be of one millisecond, within which ids have no order.
    assert {each["name"] for each in listed[:-1]} == {"viewer", "operator", "administrator"}
    assert listed[-1]["name"] == "monitoring"
    assert made["key"] not in (await caller.ask("GET", f"{API}/keys")).body.decode()
    assert (await caller.ask("POST", f"{API}/keys", {"name": "x", "role": "viewer"})).status == 403
    entry = (await who.viewer.items("/audit?action=key.created"))[0]
    assert (entry["actor"], entry["subject"], entry["detail"]) == (
        "key:administrator",
        "monitoring",
        {"role": "viewer"},
    )


async def test_a_key_that_makes_no_sense_is_refused(who: Callers) -> None:
    for body in NO_KEYS:
        answer = await who.administrator.ask("POST", f"{API}/keys", body)
        assert (answer.status, answer.code) == (400, "request_invalid"), body


async def test_of_two_keys_with_one_name_the_id_says_which_is_revoked(who: Callers) -> None:
    first, second = [
        await who.administrator.post("/keys", {"name": "twin", "role": "viewer"}, status=201) for _ in range(2)
    ]
    answer = await who.administrator.ask("DELETE", f"{API}/keys/twin")
    assert (answer.status, answer.code) == (409, "conflict")
    assert (await who.administrator.ask("DELETE", f"{API}/keys/{first['key_id']}")).status == 200
    assert (await who.administrator.ask("DELETE", f"{API}/keys/twin")).json["key_id"] == second["key_id"]
    assert (await who.administrator.ask("DELETE", f"{API}/keys/nothing")).status == 404
