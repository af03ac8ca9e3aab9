"""Every route of the console with a form that its page could have sent, and a life to try them on."""

import re
from typing import Any

from gateway import keys
from gateway.configuration.channels import ChannelSpec
from gateway.console.guard import Route
from gateway.console.routes import ROUTES
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ADA, ROOT, Browser, Page
from tests.invariants import every

CHANNEL = "ops"
READING = [route for route in ROUTES if route.method == "GET" and route.needs is not None]
WRITING = [route for route in ROUTES if route.method == "POST"]
FORMS: dict[str, dict[str, Any]] = {
    "/scope": {"scope": f"{TENANT}\tprod"},
    "/needs": {"do": "retry", "job": "{failed}"},
    "/reviews/{review_id}": {"decision": "ignore"},
    "/jobs/{job_id}/cancel": {"reason": "tests"},
    "/customers/{customer_id:.+}": {"source": SOURCE, "connection": NOMOD, "do": "unlink", "reason": "tests"},
    "/connections": {"connector": "nomod", "name": "made", "do": "untested", "config.api_key": "sk_test_made"},
    "/connections/{name}/edit": {"do": "tested", "config.base_url": "{nomod}"},
    "/connections/{name}/pause": {"reason": "tests"},
    "/connections/{name}/remove": {"sure": NOMOD},
    "/sources": {"platform": "tithely", "name": "made", "verification": "standard-webhooks"},
    "/sources/{name}/edit": {"verification": "standard-webhooks"},
    "/sources/{name}/switch": {"do": "disable"},
    "/sources/{name}/remove": {"sure": SOURCE},
    "/channels": {"name": "made", "how": "email", "to": "made@example.com", "kind": "dead_letter"},
    "/channels/{name}/remove": {"sure": CHANNEL},
    "/settings/keys": {"name": "made", "role": "viewer"},
}
"""What the forms of routes hold beside their token."""
LAST = (
    "/connections/{name}/remove", "/sources/{name}/remove", "/channels/{name}/remove", "/settings/keys/{key_id}/revoke",
    "/logout",
)  # fmt: skip
"""What takes away what the others are tried on."""
NOTHING = dict.fromkeys(
    ("delivery_id", "job_id", "review_id", "number", "customer_id", "failed", "key_id", "code", "nomod", "alert_id",
    ), "x"
)  # fmt: skip
"""Names of nothing that is there."""


async def a_life(rig: Rig) -> dict[str, str]:
    """Have a customer linked, one under review and one failed; return the names of all that there is."""
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    linked = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(linked["id"])
    for told in ({"name": "Bea", "email": "bea@example.com"}, {"name": "No Mail", "email": ""}):
        await rig.finalize(rig.flexprice.add_customer(**told)["id"])
    await rig.finish()
    review = await rig.open_review()
    spec = ChannelSpec(name=CHANNEL, tenant_id=TENANT, environment_id=ENVIRONMENT, to=("ops@example.com",))
    await rig.gateway.app[keys.CONFIGURATION].put_channel(spec, actor="tests")
    await rig.gateway.app[keys.ALERTS].turn()
    failed = await rig.job(status="failed")
    row = next(key for key in await rig.store.list_keys() if key.name == "viewer")
    return {
        "delivery_id": delivery, "job_id": str(review.job_id), "review_id": review.review_id, "number": "1",
        "customer_id": linked["id"], "failed": failed.job_id, "key_id": row.key_id, "code": "rate_limited",
        "nomod": rig.nomod.url, "alert_id": (await rig.store.list_alerts()).items[0].alert_id,
    }  # fmt: skip


def path_of(route: Route, names: dict[str, str]) -> str:
    """Return a route's path with the names of what is there."""
    noun = route.path.split("/")[1] if "/" in route.path else ""
    known = {**names, "name": {"sources": SOURCE, "channels": CHANNEL}.get(noun, NOMOD)}
    return re.sub(r"{(\w+)(?::[^}]*)?}", lambda found: known[found[1]], route.path)


async def send(browser: Browser, route: Route, names: dict[str, str], *, headers: dict[str, str] | None = None) -> Page:
    """Ask for a route, with a form that its page could have sent."""
    path = path_of(route, names)
    if route.method == "GET":
        return await browser.ask("GET", ROOT + path, headers=headers)
    filled = {key: value.format(**names) for key, value in FORMS.get(route.path, {}).items()}
    return await browser.post(path, filled, headers=headers)


def in_turn(route: Route) -> int:
    """Return where a route comes in turn: what takes something away last, and the logout at the very end."""
    return LAST.index(route.path) + 1 if route.path in LAST else 0


async def state(rig: Rig) -> list[Any]:
    """Return all that a form could change, but what merely looking changes."""
    store = rig.store
    made = [(key.key_id, key.revoked_at) for key in await store.list_keys()]
    jobs = [(job.job_id, job.status, job.next_attempt_at) for job in await every(store.list_jobs)]
    lists = [await every(each) for each in (store.list_mappings, store.list_reviews, store.list_audit)]
    return [made, jobs, *lists, await store.list_sources(), await store.list_connections(), await store.list_channels()]
