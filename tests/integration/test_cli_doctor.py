"""`doctor`: a healthy installation is told so, and each thing that is wrong with its next step."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.operations import doctor
from gateway.operations.findings import Finding, Level, worst
from gateway.sources.signing import new_secret, sign
from gateway.spans import spoken
from tests.harness import NOMOD, QUICKBOOKS, SOURCE, Rig
from tests.integration.cli_setup import Cli, cli_of, quickbooks_toml


@pytest.fixture
def cli(rig: Rig, tmp_path: Path) -> Cli:
    return cli_of(rig, tmp_path)


def told(report: dict[str, Any], check: str, level: str = "attention") -> list[str]:
    """The sentences of one check and level, with their next steps."""
    found = [each for each in report["findings"] if each["check"] == check and each["level"] == level]
    assert all(each["next_step"] for each in found if level != "ok")
    return [f"{each['sentence']} {each['next_step']}" for each in found]


async def test_all_is_well_where_it_is(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    report = await cli.json("doctor")
    assert report["status"] == "ok", report
    assert {each["level"] for each in report["findings"]} <= {"ok", "note"}
    checks = {each["check"] for each in report["findings"]}
    wanted = {"database", "schema", "durability", "secret_key", "disk", "clock", "plugins", "sources", "connections"}
    assert wanted | {"platform", "backlog", "public_url"} <= checks
    text = await cli.ok("doctor", "--quiet")
    assert text.err == "All is well.\n"
    assert " ok " not in text.out


async def test_what_waits_for_a_person_is_told_with_the_next_step(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    await rig.add_nomod(api_key="a-wrong-key-of-nomod")
    rig.intuit.seed_customer(DisplayName="Lovelace Engines", email="ada@example.com")
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    nameless = rig.flexprice.add_customer(name="", email="")
    await rig.finalize(nameless["id"])
    await rig.finish()
    await cli.ok("apply", cli.write("qbo.toml", quickbooks_toml(cli, rig.intuit, name="qbo-new")))
    report = await cli.json("doctor", code=3)
    assert report["status"] == "attention"
    (paused,) = told(report, "connections")
    assert f"Connection {NOMOD} is paused: authentication_failed" in paused
    assert f"ledgergate connection resume {NOMOD}" in paused
    (consent,) = told(report, "consent")
    assert "qbo-new has no consent yet" in consent
    assert "LEDGERGATE_PUBLIC_URL" in consent
    (review,) = told(report, "reviews")
    assert "1 review waits" in review
    (failed,) = told(report, "jobs")
    assert "ledgergate job retry" in failed
    text = await cli.run("doctor")
    assert (text.code, "ATTENTION" in text.out, "needs a person" in text.err) == (3, True, True)


async def test_a_wrong_secret_a_silent_source_and_one_that_leads_nowhere_are_named(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    body = b"{}"
    headers = sign(new_secret(), message_id="msg_1", timestamp=int(time.time()), body=body)
    async with aiohttp.ClientSession() as session:
        await session.post(f"{rig.gateway.url}/webhooks/{SOURCE}", data=body, headers=headers)
    for _ in range(200):
        if (await rig.store.source_activity(SOURCE)).last_rejected is not None:
            break
        await asyncio.sleep(0.05)
    report = await cli.json("doctor", code=3)
    (refused,) = told(report, "sources")
    assert "signature_mismatch" in refused
    assert f"ledgergate source rotate-secret {SOURCE} --secret-stdin" in refused
    (nowhere,) = told(report, "routes")
    assert "goes nowhere" in nowhere


async def test_the_platforms_own_sync_to_the_same_target_is_told(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    rig.flexprice.connect("quickbooks", customer_outbound=True)
    report = await cli.json("doctor", code=3)
    (warning,) = told(report, "platform")
    assert "own customer sync to quickbooks is on" in warning
    assert await cli.json("doctor", "--offline", code=0)


async def test_a_platform_that_cannot_be_asked_is_told_with_the_reason(cli: Cli, rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    result = await cli.run("doctor", LEDGERGATE_ALLOW_PRIVATE_ADDRESSES="false")
    assert f"The platform of source {SOURCE} could not be asked (source_unavailable: loopback" in result.out


async def test_a_consent_near_its_end_and_work_that_nobody_does_are_told(rig: Rig) -> None:
    """Seen 90 days later: the tokens are old, and a job has been due since."""
    await rig.add_flexprice()
    await rig.add_quickbooks()
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.stop_nodes()
    later = rig.clock.now() + timedelta(days=90)
    findings = await doctor.examine(rig.settings, now=lambda: later, offline=True)
    sentences = [finding.sentence for finding in findings if finding.level is Level.ATTENTION]
    assert any("consent of connection" in sentence and QUICKBOOKS in sentence for sentence in sentences), sentences
    earlier = rig.clock.now() - timedelta(days=1)
    findings = await doctor.examine(rig.settings, now=lambda: earlier, offline=True)
    assert any("was set back" in finding.sentence for finding in findings)
    long_ago = rig.clock.now() - timedelta(days=9000)
    findings = await doctor.examine(rig.settings, now=lambda: long_ago, offline=True)
    assert next(finding.level for finding in findings if finding.check == "clock") is Level.BROKEN


async def test_what_is_broken_gives_exit_code_1_and_changes_nothing(tmp_path: Path) -> None:
    cli = Cli(folder=tmp_path, database=tmp_path / "gateway.db")
    fresh = await cli.json("doctor")
    assert "There is no database yet" in " ".join(told(fresh, "database", "note"))
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"

    await cli.ok("db", "migrate")
    await cli.ok("source", "list")
    key = Path(f"{cli.database}.key")
    key.chmod(0o644)
    readable = await cli.json("doctor", code=3)
    assert "chmod 600" in told(readable, "secret_key")[0]
    content = key.read_text()
    key.write_text("another key which does not fit\n")
    wrong = await cli.json("doctor", code=1)
    assert "does not fit the database" in told(wrong, "secret_key", "broken")[0]
    key.unlink()
    lost = await cli.json("doctor", code=1)
    assert "is missing" in told(lost, "secret_key", "broken")[0]
    assert not key.exists(), "no other key is made in its place"
    key.write_text(content)

    cli.database.write_bytes(b"no database at all, and long enough to be taken for one" * 100)
    garbage = await cli.run("doctor", "--json")
    assert (garbage.code, garbage.document["status"]) == (1, "broken")


async def test_a_database_of_an_older_or_newer_version_is_not_touched(tmp_path: Path) -> None:
    cli = Cli(folder=tmp_path, database=tmp_path / "gateway.db")
    cli.database.touch()
    older = await cli.json("doctor", code=3)
    assert "ledgergate db migrate" in told(older, "schema")[0]
    assert cli.database.stat().st_size == 0


async def test_a_distribution_that_overwrites_our_packages_is_named(tmp_path: Path) -> None:
    """There are unrelated distributions called `connectors` and `storage`."""
    packages = tmp_path / "packages"
    info = packages / "connectors-4.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: connectors\nVersion: 4.1\n")
    (info / "RECORD").write_text("connectors/__init__.py,,\n")
    (info / "top_level.txt").write_text("connectors\n")
    cli = Cli(folder=tmp_path, database=tmp_path / "gateway.db", environment={"PYTHONPATH": str(packages)})
    report = await cli.json("doctor", code=1)
    (clash,) = told(report, "packages", "broken")
    assert "`connectors` also comes from connectors" in clash
    assert "Uninstall" in clash


def test_the_worst_finding_decides_and_spans_are_spoken() -> None:
    findings = [Finding(level=level, check="x", sentence="x") for level in (Level.OK, Level.BROKEN, Level.NOTE)]
    assert worst(findings) is Level.BROKEN
    assert worst([]) is Level.OK
    spans = [spoken(timedelta(seconds=seconds)) for seconds in (5, 60, 119, 7200, 86_400, 200_000)]
    assert spans == ["5 seconds", "1 minute", "1 minute", "2 hours", "24 hours", "2 days"]
