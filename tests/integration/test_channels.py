"""Channels through every face: file, command line, API and console; their secrets shown by none."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage.records import AlertStatus
from tests.configuring import ENVIRONMENT, TENANT
from tests.harness import NOMOD, Rig
from tests.integration.alerts_setup import look
from tests.integration.cli_setup import Cli, cli_of
from tests.integration.console_setup import browsers
from tests.receivers import Endpoint, endpoint

FILE = """
[[channels]]
name = "on-call"
tenant_id = "tenant_123"
url = "env:ALERT_URL"
secrets = ["env:ALERT_SECRET"]

[[channels]]
name = "mail"
all_tenants = true
to = ["ops@example.com"]
kinds = ["dead_letter", "connection_paused"]
"""


@pytest.fixture
async def hook(rig: Rig) -> AsyncIterator[Endpoint]:
    async with endpoint(rig.clock.unix) as opened:
        yield opened


@pytest.fixture
def cli(rig: Rig, tmp_path: Path, hook: Endpoint) -> Cli:
    made = cli_of(rig, tmp_path)
    made.secret("ALERT_URL", f"{hook.url}?token=a-secret-of-the-url")
    made.secret("ALERT_SECRET", hook.secret)
    return made


def secrets_of(hook: Endpoint) -> tuple[str, ...]:
    return hook.secret, "a-secret-of-the-url", hook.url


async def test_a_file_makes_channels_and_the_second_time_nothing(cli: Cli, rig: Rig, hook: Endpoint) -> None:
    file = cli.write("channels.toml", FILE)
    first = await cli.json("apply", file)
    assert [(each["kind"], each["name"], each["change"]) for each in first["changes"]] == [
        ("channel", "on-call", "created"), ("channel", "mail", "created"),
    ]  # fmt: skip
    again = await cli.json("apply", file)
    assert again["changed"] == 0
    cli.environment["ALERT_URL"] += "2"
    [changed] = [each for each in (await cli.json("apply", file))["changes"] if each["change"] != "unchanged"]
    assert (changed["name"], changed["fields"]) == ("on-call", ["url"])
    actions = [entry["action"] for entry in (await cli.json("audit", "list", "--subject", "on-call"))["items"]]
    assert actions == ["channel.updated", "channel.created"]


@pytest.mark.parametrize(
    "change,told",
    [
        ({"ALERT_URL": "ftp://hunter2.example"}, "url: must begin with http"),
        ({"ALERT_URL": "https://user:hunter2@ops.example"}, "no user, password or fragment"),
        ({"ALERT_SECRET": "hunter2"}, "secrets: secret 1"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_not_repeated(cli: Cli, change: dict[str, str], told: str) -> None:
    cli.environment.update(change)
    result = await cli.run("apply", cli.write("channels.toml", FILE))
    assert result.code == 1
    assert told in result.error
    assert "hunter2" not in result.err
    assert (await cli.json("channel", "list"))["items"] == []


@pytest.mark.parametrize(
    "line,told",
    [
        ('to = ["ops@example.com"]', "give either url or to"),
        ('kinds = ["paused"]', "kinds[0]"),
        ("all_tenants = true", "leave out tenant_id"),
        ('color = "red"', "unknown key"),
    ],
)
async def test_a_file_that_says_too_much_changes_nothing(cli: Cli, line: str, told: str) -> None:
    secrets = 'secrets = ["env:ALERT_SECRET"]'
    result = await cli.run("apply", cli.write("c.toml", FILE.replace(secrets, f"{secrets}\n{line}")))
    assert result.code == 1
    assert told in result.error


async def test_the_command_line_adds_tests_shows_and_removes_one(cli: Cli, rig: Rig, hook: Endpoint) -> None:
    home = ("--tenant-id", TENANT)
    made = await cli.json("channel", "add", "ops", "--url", "env:ALERT_URL", "--secret", "env:ALERT_SECRET", *home)
    assert (made["change"], made["kind"], made["secrets"]) == ("created", "webhook", 1)
    tested = await cli.json("channel", "test", "ops")
    assert [each["id"] for each in hook.taken] == [tested["message_id"]]
    await rig.add_nomod()
    await rig.pause(NOMOD)
    await look(rig)
    [alert] = (await cli.json("alert", "list", "--status", "open"))["items"]
    shown = await cli.json("alert", "show", alert["alert_id"])
    assert [(each["channel"], each["status"]) for each in shown["messages"]] == [("ops", "sent")]
    texts = [(await cli.ok(*words)).out for words in (
        ("channel", "list"), ("channel", "show", "ops"), ("alert", "list"), ("alert", "show", alert["alert_id"]),
    )]  # fmt: skip
    assert "connection_paused" in texts[2]
    assert not [secret for secret in secrets_of(hook) for text in texts if secret in text]
    twice = await cli.run("channel", "add", "ops", "--url", "env:ALERT_URL", "--secret", "env:ALERT_SECRET", *home)
    assert (twice.code, "--replace" in twice.error) == (1, True)
    hook.answers = [500]
    refused = await cli.run("channel", "test", "ops")
    assert (refused.code, "alert_not_delivered" in refused.error) == (1, True)
    await cli.ok("channel", "remove", "ops")
    assert (await cli.json("channel", "list"))["items"] == []


async def test_a_secret_that_is_made_is_shown_once(cli: Cli) -> None:
    done = await cli.ok("channel", "add", "ops", "--url", "https://ops.example/hook", "--generate-secret")
    assert done.out.startswith("whsec_")
    assert (await cli.run("channel", "add", "two", "--url", "https://ops.example/hook")).code == 2
    argument = await cli.run(
        "channel", "add", "two", "--url", "https://x.example", "--secret", "whsec_in_the_arguments"
    )
    assert argument.code == 2
    assert "whsec_in" not in argument.err


async def test_the_api_keeps_what_is_left_out_and_shows_no_secret(rig: Rig, hook: Endpoint) -> None:
    given = {"name": "ops", "url": hook.url, "secrets": [hook.secret]}
    status, made = await rig.api("POST", "/api/v1/channels", given)
    assert (status, made["tenant_id"], made["environment_id"]) == (201, TENANT, ENVIRONMENT)
    assert (await rig.api("POST", "/api/v1/channels", given))[0] == 409
    status, changed = await rig.api("PUT", "/api/v1/channels/ops", {"kinds": ["dead_letter"]})
    assert (status, changed["fields"], changed["kinds"]) == (200, ["kinds"], ["dead_letter"])
    status, tested = await rig.api("POST", "/api/v1/channels/ops/test")
    assert (status, [each["id"] for each in hook.taken]) == (200, [tested["message_id"]])
    status, mail = await rig.api("PUT", "/api/v1/channels/ops", {"to": ["ops@example.com"]})
    assert (status, mail["kind"], mail["host"], mail["secrets"]) == (200, "email", None, 0)
    status, listed = await rig.api("GET", "/api/v1/channels")
    assert [each["name"] for each in listed["items"]] == ["ops"]
    assert not [secret for secret in secrets_of(hook) if secret in f"{made}{changed}{mail}{listed}"]
    assert (await rig.api("DELETE", "/api/v1/channels/ops"))[0] == 204


async def test_the_console_shows_what_holds_and_adds_a_channel(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    await rig.pause(NOMOD)
    await look(rig)
    [alert] = (await rig.store.list_alerts(status=AlertStatus.OPEN)).items
    async with browsers(rig) as who:
        page = await who.administrator.get("/alerts")
        assert "Connection paused" in page.text
        assert "nobody hears of it" in page.text
        form = await who.administrator.get("/channels/new")
        kinds = ["connection_paused", "dead_letter"]
        made = await who.administrator.submit(
            form, "/channels", name="ops", how="webhook", url=hook.url, secret=hook.secret, kind=kinds
        )
        assert made.status == 200
        assert "ops" in made.text
        await look(rig, after=5)
        assert hook.told == [("alert.opened", "connection_paused", 1)]
        one = await who.viewer.get(f"/alerts/{alert.alert_id}")
        assert f"Connection {NOMOD} is paused" in one.text
        tested = await who.operator.submit(await who.operator.get("/channels/ops"), "/channels/ops/test")
        assert "was taken" in tested.text
        wrong = await who.administrator.submit(form, "/channels", name="two", how="email", to="nobody", kind=kinds)
        assert (wrong.status, "is no e-mail address" in wrong.text) == (400, True)
        fresh = await who.administrator.submit(form, "/channels", name="two", how="webhook", url=hook.url, kind=kinds)
        assert "whsec_" in fresh.text
        page = await who.administrator.get("/channels/ops")
        assert hook.url not in page.html
        await who.administrator.submit(page, "/channels/ops/remove", sure="ops")
        assert [row.name for row in await rig.store.list_channels()] == ["two"]


async def test_doctor_tells_whether_anybody_is_told(cli: Cli, rig: Rig, hook: Endpoint) -> None:
    def alerts(report: dict[str, Any]) -> list[tuple[str, str]]:
        return [(each["level"], each["sentence"]) for each in report["findings"] if each["check"] == "alerts"]

    [(level, said)] = alerts(await cli.json("doctor", "--offline"))
    assert (level, "there is no channel" in said) == ("note", True)
    await cli.ok("channel", "add", "ops", "--url", "env:ALERT_URL", "--secret", "env:ALERT_SECRET", "--all-tenants")
    await rig.add_nomod()
    await rig.pause(NOMOD)
    hook.answers = [500]
    await look(rig)
    [(level, said)] = alerts(await cli.json("doctor", "--offline", code=3))
    assert (level, said) == (
        "attention", "Channel ops: 1 message could not be sent yet (alert_not_delivered: HTTP 500).",
    )  # fmt: skip
    await look(rig, after=10)
    [(level, said)] = alerts(await cli.json("doctor", "--offline", code=3))
    assert (level, said.startswith("Channel ops was last used")) == ("ok", True)


async def test_a_new_key_keeps_channels_working(cli: Cli, rig: Rig, hook: Endpoint) -> None:
    await cli.ok(
        "channel", "add", "ops", "--url", "env:ALERT_URL", "--secret", "env:ALERT_SECRET", "--tenant-id", TENANT
    )
    await cli.ok("secret", "rotate-key")
    await rig.api("POST", "/api/v1/channels/ops/test")
    assert [each["type"] for each in hook.taken] == ["alert.test"]
