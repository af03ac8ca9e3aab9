"""What holds for every command: exit codes, errors of one line, terminals and pipes, settings that stop the start."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.sources.signing import new_secret
from tests.integration.cli_setup import PATIENCE, ROOT, Cli, forked, interrupt

ESCAPE = "\x1b["


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(folder=tmp_path, database=tmp_path / "usage.db")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo terminal: our end, and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    for descriptor in (ours, theirs):
        os.close(descriptor)


async def on_terminal(
    cli: Cli, ends: tuple[int, int], *arguments: str, typed: bytes = b"", **more: str
) -> tuple[int, str]:
    """Run a command whose three streams are a terminal; return its exit code and all that was shown."""
    ours, theirs = ends
    shown = b""
    loop = asyncio.get_running_loop()
    os.set_blocking(ours, False)
    more_to_see = asyncio.Event()
    loop.add_reader(ours, more_to_see.set)
    env = cli.env(TERM="xterm", COLUMNS="200", **more)
    ended = asyncio.create_task(forked(arguments, env, (theirs, theirs, theirs)))
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    shown += os.read(ours, 65536)
                except BlockingIOError:
                    if ended.done():
                        break
                    more_to_see.clear()
                    await asyncio.wait({ended, asyncio.create_task(more_to_see.wait())}, return_when="FIRST_COMPLETED")
                if typed and shown.rstrip().endswith((b"[y/N]:", b"Secret:")):
                    os.write(ours, typed)
                    typed = b""
    finally:
        loop.remove_reader(ours)
    return await ended, shown.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",), ("source", "nonsense"), ("source", "list", "--nonsense"), ("source", "show"), ("apply",),
        ("job", "list", "--status", "lost"), ("job", "list", "--limit", "0"), ("delivery", "list", "--since", "soon"),
        ("key", "create", "x", "--role", "king"), ("delivery", "list", "--watch"), ("db", "prune", "--older-than", "x"),
    ],
)  # fmt: skip
async def test_wrong_usage_is_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = await cli.run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith("usage: ")
    assert "--help" in result.error


async def test_a_noun_alone_shows_its_commands(cli: Cli) -> None:
    result = await cli.run("source")
    assert (result.code, result.out) == (2, "")
    assert "rotate-secret" in result.err


async def test_what_a_command_does_is_listed_to_the_end(cli: Cli) -> None:
    for arguments in ((), ("source",), ("delivery",), ("payment-link",)):
        told = (await cli.ok(*arguments, "--help")).out
        assert [line for line in told.splitlines() if line.endswith("...") and "Usage" not in line] == []


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("LEDGERGATE_PROT", "8080", "LEDGERGATE_PROT is not a setting of ledgergate"),
        ("LEDGERGATE_TEST_SEED", "5", "LEDGERGATE_TEST_SEED is not a setting of ledgergate"),
        ("LEDGERGATE_HOST", "", "LEDGERGATE_HOST: "),
        ("LEDGERGATE_MAX_BODY_BYTES", "0", "LEDGERGATE_MAX_BODY_BYTES: "),
        ("LEDGERGATE_RETENTION_DAYS", "0", "LEDGERGATE_RETENTION_DAYS: "),
        ("LEDGERGATE_PORT", "many", "LEDGERGATE_PORT: "),
        ("LEDGERGATE_PORT", "70000", "LEDGERGATE_PORT: "),
        ("LEDGERGATE_LOG_LEVEL", "loud", "LEDGERGATE_LOG_LEVEL: "),
        ("LEDGERGATE_RETRY_SCHEDULE", "5,x", "LEDGERGATE_RETRY_SCHEDULE"),
        (
            "LEDGERGATE_DATABASE_URL",
            "mysql://x",
            "LEDGERGATE_DATABASE_URL: must begin with sqlite:/// or postgresql://",
        ),
        ("LEDGERGATE_SECRET_KEY", "canary", "LEDGERGATE_SECRET_KEY: "),
        (
            "LEDGERGATE_SECRET_KEY_FILE",
            "/not/mounted/key",
            "LEDGERGATE_SECRET_KEY_FILE: there is no folder /not/mounted",
        ),
    ],
)
@pytest.mark.parametrize("command", ["serve", "doctor"])
async def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    cli: Cli, command: str, name: str, value: str, told: str
) -> None:
    result = await cli.run(command, **{name: value})
    assert (result.code, result.out) == (1, "")
    assert result.error.startswith(f"setting_invalid: {told}")
    assert "canary" not in result.error
    assert not cli.database.exists()


@pytest.mark.parametrize(
    "name, value",
    [
        ("LEDGERGATE_LOG_LEVEL", "WARNING"),
        ("LEDGERGATE_LOG_FORMAT", "Console"),
        ("LEDGERGATE_MAX_BODY_BYTES", "1"),
        ("LEDGERGATE_RETENTION_DAYS", "1"),
    ],
)
async def test_a_setting_is_taken_in_any_case_of_its_word_and_down_to_one(cli: Cli, name: str, value: str) -> None:
    result = await cli.run("source", "list", **{name: value})
    assert result.code == 0, result.err


async def test_a_port_in_use_is_one_line(cli: Cli) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await cli.run("serve", LEDGERGATE_PORT=str(port), LEDGERGATE_LOG_LEVEL="error")
    assert (result.code, result.out) == (1, "")
    assert f"cannot_listen: 127.0.0.1:{port}: " in result.err


async def test_a_host_that_is_none_is_one_line_that_names_the_setting(cli: Cli) -> None:
    result = await cli.run("serve", LEDGERGATE_HOST="no host", LEDGERGATE_LOG_LEVEL="error")
    assert (result.code, result.out) == (1, "")
    assert "cannot_listen: no host:" in result.err
    assert "LEDGERGATE_HOST" in result.err


async def test_a_database_that_is_none_is_one_line(cli: Cli) -> None:
    cli.database.write_bytes(b"this is not a database, and is long enough to be looked at as one" * 100)
    result = await cli.run("source", "list")
    assert (result.code, result.out) == (1, "")
    assert result.error.startswith(("schema_unknown: ", "store_unavailable: "))


async def test_a_dependency_that_cannot_be_imported_is_one_line(cli: Cli) -> None:
    broken = cli.folder / "broken"
    broken.mkdir()
    (broken / "orjson.py").write_text("raise ImportError('orjson was built for another machine')\n")
    result = await cli.run("source", "list", PYTHONPATH=str(broken))
    assert (result.code, result.out) == (1, "")
    assert result.error.startswith("installation_broken: orjson was built for another machine. ")


async def test_where_another_distribution_has_overwritten_ours_the_line_names_it(cli: Cli) -> None:
    """There are unrelated distributions called `connectors` and `storage`; `doctor` cannot start to say so."""
    broken = cli.folder / "broken"
    info = broken / "storage-1.0.dist-info"
    info.mkdir(parents=True)
    (broken / "orjson.py").write_text("raise ImportError('No module named storage.errors')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: storage\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("storage\n")
    result = await cli.run("doctor", PYTHONPATH=str(broken))
    assert (result.code, result.out) == (1, "")
    assert "Uninstall storage, whose package `storage` overwrites ours" in result.error


async def test_another_secret_key_is_refused(cli: Cli) -> None:
    await cli.ok("source", "list")
    result = await cli.run("source", "list", LEDGERGATE_SECRET_KEY="another key of the right length")
    assert (result.code, result.out) == (1, "")
    assert result.error.startswith("secret_key_wrong: ")


async def test_a_reader_that_has_gone_and_an_interrupt_are_quiet(cli: Cli) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "run.py", "connector", "list", "--json", cwd=ROOT, env=cli.env(), stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    _, err = await process.communicate()
    assert (process.returncode, err) == (141, b"")

    serving = await cli.start("serve", LEDGERGATE_PORT="0", LEDGERGATE_LOG_LEVEL="error")
    assert serving.stderr is not None
    while b"set-up" not in await asyncio.wait_for(serving.stderr.readline(), 30):
        pass  # the last line of a first start
    interrupt(serving)
    out, err = await asyncio.wait_for(serving.communicate(), 30)
    assert (serving.returncode, out, err) == (0, b"", b"")


async def test_the_program_without_a_command_serves_and_prints_the_admin_key_once(cli: Cli) -> None:
    told = []
    for _ in range(2):
        process = await cli.start(LEDGERGATE_PORT="0", LEDGERGATE_LOG_LEVEL="error")
        assert process.stderr is not None
        lines = b""
        while b"Listening on" not in lines or (b"lgk_" in lines and b"set-up" not in lines):
            lines += await asyncio.wait_for(process.stderr.readline(), 30)
        process.terminate()
        await process.communicate()
        told.append(lines.decode())
    assert re.search(r"Admin API key, shown this once: lgk_\S+", told[0])
    assert "lgk_" not in told[1]


async def test_a_terminal_gets_a_table_with_colours_unless_no_color_is_set(cli: Cli, terminal: tuple[int, int]) -> None:
    reference = cli.secret("TITHELY_SECRET", new_secret())
    await cli.ok("source", "add", "one", "--platform", "tithely", "--secret", reference)
    piped = await cli.ok("source", "list")
    assert ESCAPE not in piped.out
    assert piped.out.splitlines()[0].split()[:2] == ["name", "platform"]
    code, shown = await on_terminal(cli, terminal, "source", "list")
    assert (code, ESCAPE in shown, "active" in shown) == (0, True, True)
    code, shown = await on_terminal(cli, terminal, "source", "list", NO_COLOR="1")
    assert (code, ESCAPE in shown, "active" in shown) == (0, False, True), "neither colour nor bold type"
    code, shown = await on_terminal(cli, terminal, "source", "list", "--json")
    assert (code, ESCAPE in shown) == (0, False)


async def test_a_terminal_is_asked_before_a_connection_goes_and_a_script_is_not(
    cli: Cli, terminal: tuple[int, int]
) -> None:
    add = ("connection", "add", "one", "--connector", "nomod", "--secret-stdin")
    await cli.ok(*add, stdin="a-nomod-key-of-no-account")
    code, shown = await on_terminal(cli, terminal, "connection", "remove", "one", typed=b"n\n")
    assert (code, "Remove connection one" in shown) == (130, True)
    assert len((await cli.json("connection", "list"))["items"]) == 1
    code, _ = await on_terminal(cli, terminal, "connection", "remove", "one", typed=b"y\n")
    assert code == 0
    await cli.ok(*add, stdin="a-nomod-key-of-no-account")
    await cli.ok("connection", "remove", "one")
    assert (await cli.json("connection", "list"))["items"] == []


async def test_a_secret_typed_on_a_terminal_is_not_shown(cli: Cli, terminal: tuple[int, int]) -> None:
    secret = new_secret()
    add = ("source", "add", "one", "--platform", "tithely", "--secret-stdin")
    code, shown = await on_terminal(cli, terminal, *add, typed=f"{secret}\n".encode())
    assert (code, secret in shown) == (0, False)
    assert (await cli.json("source", "show", "one"))["secrets"] == 1


async def test_a_list_is_watched_until_it_is_interrupted(cli: Cli, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    process = await asyncio.create_subprocess_exec(
        sys.executable, "run.py", "job", "list", "--watch", cwd=ROOT, env=cli.env(TERM="xterm"), stdin=theirs,
        stdout=theirs, stderr=theirs,
    )  # fmt: skip
    shown = b""
    while shown.count(b"No job.") < 2:
        shown += await asyncio.wait_for(asyncio.to_thread(os.read, ours, 65536), 30)
    interrupt(process)
    assert await asyncio.wait_for(process.wait(), 30) == 130
    assert b"Traceback" not in shown


async def test_a_long_import_shows_its_progress_on_a_terminal_only(cli: Cli, terminal: tuple[int, int]) -> None:
    lines = [f"nowhere,cust_{number},nomod-prod,record-{number}" for number in range(250)]
    file = cli.write("rows.csv", "\n".join(["source,entity_id,connection,provider_entity_id", *lines]))
    code, shown = await on_terminal(cli, terminal, "mapping", "import", file)
    assert (code, "importing" in shown) == (3, True)
    piped = await cli.run("mapping", "import", file)
    assert (piped.code, "importing" in piped.err, ESCAPE in piped.err) == (3, False, False)
    assert "row 100: not_found: " in piped.err
    assert piped.out == "250 rows: 0 linked, 0 as they were, 250 refused.\n"


async def test_the_version_is_printed(cli: Cli) -> None:
    assert re.fullmatch(r"ledgergate \d+\.\d+\.\d+\S*\n", (await cli.ok("--version")).out)
