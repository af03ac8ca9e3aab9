"""The command line on PostgreSQL: the same commands, and what a server does differently."""

from pathlib import Path

import pytest

from gateway.sources.signing import new_secret
from tests.integration.cli_setup import Cli
from tests.postgres_setup import NewDatabase, run

pytestmark = pytest.mark.postgres


def on_server(folder: Path, url: str) -> Cli:
    """The program on a server's database; its URL, which may hold a password, is a canary."""
    environment = {"LEDGERGATE_DATABASE_URL": url, "LEDGERGATE_SECRET_KEY_FILE": str(folder / "secret.key")}
    return Cli(folder=folder, database=folder / "unused.db", environment=environment, canaries=[url])


async def test_a_database_is_migrated_configured_and_examined(tmp_path: Path, new_database: NewDatabase) -> None:
    cli = on_server(tmp_path, await new_database(empty=True))
    before = await cli.json("doctor", "--offline", code=3)
    assert any("db migrate" in (finding["next_step"] or "") for finding in before["findings"])
    first = await cli.json("db", "migrate")
    assert (first["before"], first["after"], first["changed"]) == (None, first["newest"], True)
    assert (await cli.json("db", "migrate"))["changed"] is False

    reference = cli.secret("TITHELY_SECRET", new_secret())
    await cli.ok("source", "add", "tithely-main", "--platform", "tithely", "--secret", reference)
    assert [source["name"] for source in (await cli.json("source", "list"))["items"]] == ["tithely-main"]
    rotated = await cli.json("secret", "rotate-key")
    assert (rotated["rewritten"], rotated["key_file"]) == (1, str(tmp_path / "secret.key"))
    assert (await cli.json("source", "show", "tithely-main"))["problem"] is None
    report = await cli.json("doctor", "--offline", code=3)
    checks = {finding["check"]: finding["level"] for finding in report["findings"]}
    assert (checks["schema"], checks["durability"], checks["database"]) == ("ok", "ok", "ok")
    assert not cli.database.exists()

    copy = await cli.run("db", "backup", str(tmp_path / "copy.db"))
    assert (copy.code, "pg_dump" in copy.error) == (1, True)
    assert not list(tmp_path.glob("*copy*"))


async def test_a_server_that_is_not_there_and_a_database_of_others_are_one_line(
    tmp_path: Path, new_database: NewDatabase
) -> None:
    cli = on_server(tmp_path, "postgresql://nobody:canary-password@127.0.0.1:9/ledgergate")
    cli.canaries.append("canary-password")
    gone = await cli.run("source", "list")
    assert (gone.code, gone.out, gone.error.startswith("store_unavailable: ")) == (1, "", True)
    told = await cli.json("doctor", code=1)
    assert any(finding["check"] == "database" and finding["level"] == "broken" for finding in told["findings"])

    url = await new_database(empty=True)
    await run(url, "CREATE TABLE somebody_else (id INTEGER)")
    others = on_server(tmp_path, url)
    refused = await others.run("db", "migrate")
    assert (refused.code, refused.error.startswith("schema_unknown: ")) == (1, True)


async def test_an_installation_is_copied_from_a_file_and_compared(tmp_path: Path, new_database: NewDatabase) -> None:
    cli = Cli(folder=tmp_path, database=tmp_path / "old.db")
    cli.environment["LEDGERGATE_SECRET_KEY_FILE"] = str(tmp_path / "secret.key")
    reference = cli.secret("TITHELY_SECRET", new_secret())
    await cli.ok("source", "add", "tithely-main", "--platform", "tithely", "--secret", reference)
    url = await new_database(empty=True)
    target = cli.secret("NEW_DATABASE_URL", url)
    done = await cli.json("db", "copy", "--to", target)
    assert (done["tables"]["sources"], done["tables"]["secrets"], done["rows"] > 3) == (1, 1, True)
    assert (await on_server(tmp_path, url).json("source", "show", "tithely-main"))["problem"] is None

    again = await cli.run("db", "copy", "--to", target)
    assert (again.code, again.out, again.error.startswith("conflict: the target is not empty")) == (1, "", True)
    as_argument = await cli.run("db", "copy", "--to", url)
    assert (as_argument.code, as_argument.out) == (2, "")
    wrong = await on_server(tmp_path, url).run("db", "copy", "--to", "env:LEDGERGATE_DATABASE_URL")
    assert (wrong.code, wrong.error.startswith("request_invalid: ")) == (1, True)
