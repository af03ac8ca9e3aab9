"""Logs: one line each, nothing secret in it, and no harm where it cannot be written."""

import io
import json
import logging
import sys

import pytest
import structlog

from gateway import logs
from gateway.settings import LogFormat, LogLevel


def test_a_line_holds_facts_and_neither_secrets_nor_personal_data(capsys: pytest.CaptureFixture[str]) -> None:
    """By key, and by what a text looks like."""
    log = structlog.get_logger("test")
    log.info("told", job_id="job_1", email="ada@example.com", api_key="sk_live_abcdefgh", detail="for ada@example.com")
    line = capsys.readouterr().err
    assert json.loads(line)["job_id"] == "job_1"
    assert "ada@example.com" not in line
    assert "abcdefgh" not in line


@pytest.mark.parametrize("broken", ["closed", "none", "full"])
def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Closed, absent, or on a full disk: the line is lost and the work goes on."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", {"closed": closed, "none": None, "full": Full()}[broken])
    log = structlog.get_logger("test")
    log.info("told")
    log.error("told")
    log.exception("told", exc_info=ValueError())  # noqa: LOG004 - as a worker tells a failure that it holds


def test_the_line_goes_to_what_standard_error_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to what it was when logging was set up."""
    log, later = structlog.get_logger("test"), io.StringIO()
    monkeypatch.setattr(sys, "stderr", later)
    log.info("told", number=1)
    assert json.loads(later.getvalue())["number"] == 1


@pytest.mark.parametrize("environment, styled", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_lines_on_a_terminal_are_coloured_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], styled: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    logs.configure(LogFormat.CONSOLE, LogLevel.INFO)
    structlog.get_logger("test").info("told")
    logs.configure(LogFormat.JSON, LogLevel.INFO)
    assert "told" in terminal.getvalue()
    assert ("\x1b[" in terminal.getvalue()) is styled


@pytest.mark.parametrize("form", list(LogFormat))
def test_a_library_s_line_looks_like_ours_and_is_redacted_too(
    capsys: pytest.CaptureFixture[str], form: LogFormat
) -> None:
    """So that a stream of JSON stays one, whoever writes into it."""
    logs.configure(form, LogLevel.INFO)
    logging.getLogger("some.library").warning("lost the connection of %s", "ada@example.com")
    logging.getLogger("some.library").info("of no interest")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ada@example.com" not in line
    if form is LogFormat.JSON:
        told = json.loads(line)
        assert (told["logger"], told["level"]) == ("some.library", "warning")
        assert told["event"].startswith("lost the connection")


def test_a_line_names_the_room_that_tells_it(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("ledgergate.worker").info("told")
    assert json.loads(capsys.readouterr().err)["logger"] == "ledgergate.worker"
