"""`db` and `secret`: backups that restore, pruning that counts, a key exchanged under a running gateway."""

import asyncio
import sqlite3
import time
from pathlib import Path

import aiohttp
import pytest

from gateway import keys
from gateway.sources.signing import new_secret, sign
from tests.harness import NOMOD, QUICKBOOKS, SOURCE, Rig, open_rig
from tests.integration.cli_setup import Cli, cli_of


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(folder=tmp_path, database=tmp_path / "rig.db")


async def test_migrating_makes_a_database_and_a_second_time_does_nothing(cli: Cli) -> None:
    first = await cli.json("db", "migrate")
    assert (first["before"], first["after"], first["changed"]) == (None, first["newest"], True)
    second = await cli.json("db", "migrate")
    assert (second["before"], second["changed"]) == (first["after"], False)
    with sqlite3.connect(cli.database) as database:
        database.execute("INSERT INTO schema_migrations VALUES (9999, 'later.sql', 0)")
    newer = await cli.run("db", "migrate")
    assert (newer.code, newer.error.startswith("schema_unknown: schema 9999 is newer")) == (1, True)


async def test_a_backup_of_a_gateway_in_use_restores_to_the_same(cli: Cli, tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await rig.add_flexprice()
        await rig.add_nomod()
        ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
        await rig.finalize(ada["id"])
        await rig.finish()
        target = tmp_path / "copy.db"
        done = await cli.json("db", "backup", str(target))
        assert (done["contents"]["sources"], done["contents"]["mappings"]) == (1, 1)
        assert done["key_file"] == f"{cli.database}.key"
        assert target.stat().st_mode & 0o077 == 0
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".copy", "copy"))] == ["copy.db"]
        again = await cli.run("db", "backup", str(target))
        assert (again.code, again.error.startswith("request_invalid: copy.db exists already")) == (1, True)
        nowhere = await cli.run("db", "backup", str(tmp_path / "no" / "copy.db"))
        assert (nowhere.code, "there is no directory" in nowhere.error) == (1, True)

    restored = {"LEDGERGATE_DATABASE_URL": f"sqlite:///{target}", "LEDGERGATE_SECRET_KEY_FILE": done["key_file"]}
    (mapping,) = (await cli.json("mapping", "list", **restored))["items"]
    assert mapping["entity_id"] == ada["id"]
    assert (await cli.json("connection", "show", NOMOD, **restored))["secrets"] == ["api_key"]


async def test_pruning_counts_first_and_drops_only_bodies_that_are_old(cli: Cli, tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        await rig.add_flexprice()
        rig.clock.advance(-40 * 24 * 3600)
        ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
        old = await rig.finalize(ada["id"])
        await rig.finish()
        rig.clock.advance(40 * 24 * 3600)
        young = await rig.finalize(ada["id"])
        await rig.finish()
    assert (await cli.json("db", "prune", "--dry-run"))["pruned"] == 0, "kept for 90 days by default"
    planned = await cli.json("db", "prune", "--older-than", "30", "--dry-run")
    assert (planned["pruned"], planned["dry_run"]) == (1, True)
    assert (await cli.json("delivery", "show", old))["body_kept"] is True
    assert (await cli.ok("db", "prune", "--older-than", "30")).out.startswith("1 bodies from before ")
    assert (await cli.json("delivery", "show", old))["body_kept"] is False
    assert (await cli.json("delivery", "show", young))["body_kept"] is True
    assert (await cli.json("db", "prune", LEDGERGATE_RETENTION_DAYS="30"))["pruned"] == 0
    gone = await cli.run("delivery", "replay", old)
    assert (gone.code, gone.error.startswith("conflict: its body was pruned")) == (1, True)


async def test_a_running_gateway_follows_a_rotation_of_the_secret_key(rig: Rig, tmp_path: Path) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    cli = cli_of(rig, tmp_path)
    await cli.ok("connection", "test", QUICKBOOKS)
    key = Path(f"{cli.database}.key")
    before = key.read_text()
    done = await cli.json("secret", "rotate-key")
    assert (done["restart"], done["key_file"]) == (False, str(key))
    assert key.read_text() != before
    assert key.stat().st_mode & 0o077 == 0
    cli.canaries += [before.strip(), key.read_text().strip()]

    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    assert len(rig.intuit.customers) == 1, "its sources, connections and tokens are still readable"
    await rig.check()

    note = [each for each in (await cli.json("doctor", "--offline"))["findings"] if each["check"] == "secret_key"]
    assert any("--finish" in (each["next_step"] or "") for each in note)
    finished = await cli.json("secret", "rotate-key", "--finish")
    assert finished["rewritten"] == done["rewritten"]
    assert not key.with_name(f"{key.name}.old").exists()
    again = await cli.run("secret", "rotate-key", "--finish")
    assert (again.code, "there is no old key file" in again.error) == (1, True)
    await cli.ok("connection", "test", QUICKBOOKS)
    await rig.restart()
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()


async def test_a_key_that_is_a_setting_is_exchanged_only_while_gateways_are_stopped(cli: Cli) -> None:
    old, new = "the first key, which is long enough", "the second key, which is long enough"
    cli.canaries += [old, new]
    secret = cli.secret("TITHELY_SECRET", new_secret())
    add = ("source", "add", "one", "--platform", "tithely", "--secret", secret)
    await cli.ok(*add, LEDGERGATE_SECRET_KEY=old)
    rotate = ("secret", "rotate-key", "--secret-stdin")
    careful = await cli.run(*rotate, stdin=new, LEDGERGATE_SECRET_KEY=old)
    assert (careful.code, "--stopped" in careful.error) == (2, True)
    short = await cli.run(*rotate, "--stopped", stdin="short", LEDGERGATE_SECRET_KEY=old)
    assert (short.code, short.error.startswith("request_invalid: ")) == (1, True)
    done = await cli.json(*rotate, "--stopped", stdin=new, LEDGERGATE_SECRET_KEY=old)
    assert done == {"rewritten": 1, "key_file": None, "restart": True}
    refused = await cli.run("source", "list", LEDGERGATE_SECRET_KEY=old)
    assert (refused.code, refused.error.startswith("secret_key_wrong: ")) == (1, True)
    assert (await cli.json("source", "show", "one", LEDGERGATE_SECRET_KEY=new))["problem"] is None


async def test_a_rotation_that_was_cut_short_can_be_read_and_taken_up(cli: Cli) -> None:
    """Cut between the database's commit and the renaming of the files: the new key lies beside the old one."""
    reference = cli.secret("TITHELY_SECRET", new_secret())
    await cli.ok("source", "add", "one", "--platform", "tithely", "--secret", reference)
    key = Path(f"{cli.database}.key")
    following, before = key.with_name(f"{key.name}.new"), key.with_name(f"{key.name}.old")
    await cli.ok("secret", "rotate-key")
    key.rename(following)
    before.rename(key)

    assert (await cli.json("source", "show", "one"))["problem"] is None
    told = await cli.json("doctor", "--offline", code=3)
    assert any("cut short" in finding["sentence"] for finding in told["findings"])
    other = await cli.run("secret", "rotate-key", "--secret-stdin", stdin="another key, which is long enough")
    assert (other.code, "a rotation with another key was cut short" in other.error) == (1, True)
    wanted = following.read_text()
    await cli.ok("secret", "rotate-key")
    assert (key.read_text(), following.exists()) == (wanted, False)
    assert (await cli.json("source", "show", "one"))["problem"] is None


async def test_a_rotation_that_was_cut_before_it_had_changed_anything_goes_on_with_its_key(cli: Cli) -> None:
    reference = cli.secret("TITHELY_SECRET", new_secret())
    await cli.ok("source", "add", "one", "--platform", "tithely", "--secret", reference)
    key = Path(f"{cli.database}.key")
    following = key.with_name(f"{key.name}.new")
    following.write_text("the key that a rotation had begun with\n")
    assert (await cli.json("source", "show", "one"))["problem"] is None
    await cli.ok("secret", "rotate-key")
    assert (key.read_text(), following.exists()) == ("the key that a rotation had begun with\n", False)
    assert (await cli.json("source", "show", "one"))["problem"] is None


async def test_the_door_goes_on_during_a_rotation(rig: Rig, tmp_path: Path) -> None:
    """Sources keep on receiving in the second in which the gateway takes up the new key."""
    await rig.add_flexprice()
    cli, registry = cli_of(rig, tmp_path), rig.gateway.app[keys.REGISTRY]
    number, last = 0, 10
    async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
        rotation = group.create_task(cli.ok("secret", "rotate-key"))
        while number < last:
            if not rotation.done() or registry._version != await rig.store.config_version():
                last = number + 10  # until the gateway has the new key, and a little longer
            number += 1
            body = b'{"event_type":"customer.created","customer":{"id":"cust_1"}}'
            moment = int(time.time())
            headers = sign(rig.secret, message_id=f"msg_{number}", timestamp=moment, body=body)
            url = f"{rig.gateway.url}/webhooks/{SOURCE}"
            async with session.post(url, data=body, headers=headers) as answered:
                assert answered.status == 202
    assert number > 10
