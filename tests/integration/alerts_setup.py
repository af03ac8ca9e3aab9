"""What the tests of alerts share: a channel to an endpoint of theirs, and a watch that looks when it is told to."""

from typing import Any

from pydantic import SecretStr

from gateway import keys
from gateway.configuration.channels import ChannelSpec
from tests.configuring import ENVIRONMENT, TENANT
from tests.harness import Rig
from tests.receivers import Endpoint


async def add_channel(rig: Rig, hook: Endpoint, name: str = "ops", **more: Any) -> None:
    home = {} if more.get("all_tenants") else {"tenant_id": TENANT, "environment_id": ENVIRONMENT}
    spec = ChannelSpec(
        **{"name": name, "url": SecretStr(hook.url), "secrets": (SecretStr(hook.secret),), **home, **more}
    )
    await rig.gateway.app[keys.CONFIGURATION].put_channel(spec, actor="tests")


async def look(rig: Rig, *, after: float = 0) -> None:
    """Let time pass, and let the watch look once."""
    rig.clock.advance(after)
    watch = rig.gateway.app[keys.ALERTS]
    await watch.stop()  # so that it looks when it is told to, and only then
    await watch.turn()
