"""Logs: one JSON object or console line each, to stderr, with secrets and personal data kept out."""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import orjson

from gateway.settings import LogFormat, LogLevel
from gateway.terminals import styled


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Let an import not find a package, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # https://docs.python.org/3/reference/import.html#the-module-cache
    try:
        yield
    finally:
        del sys.modules[package]


# 66 modules and 3 MiB, for tracebacks in colours, which are not how ours are written. Commands import this file first.
with _without("rich"):
    import structlog

_SECRET_KEYS = re.compile(r"secret|token|password|authorization|api_key|signature|cookie", re.IGNORECASE)
_PERSONAL_KEYS = frozenset({"email", "name", "phone", "address", "customer", "body", "headers"})
_EMAIL = re.compile(r"[^\s@<>\"']{1,64}@[^\s@<>\"']+\.[^\s@<>\"']{2,}")
_SECRET = re.compile(r"(whsec_|whsk_|sk_live_|sk_test_|lgk_|Bearer\s+|Basic\s+)[A-Za-z0-9+/=_.-]{6,}")
HIDDEN = "[redacted]"


def redact(text: str) -> str:
    """Return text without e-mail addresses and without what looks like a secret."""
    return _SECRET.sub(rf"\1{HIDDEN}", _EMAIL.sub(HIDDEN, text) if "@" in text else text)


@lru_cache(maxsize=512)
def _is_hidden(key: str) -> bool:
    return key in _PERSONAL_KEYS or _SECRET_KEYS.search(key) is not None


def _keep_out(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _is_hidden(key):
            event[key] = HIDDEN
        elif isinstance(value, str) and ("@" in value or "_" in value or " " in value):
            event[key] = redact(value)
    return event


class StderrLogger:
    """Writes a line to whatever standard error is at that moment.

    A log that cannot be written (its disk is full, its pipe is gone) must not stop the work that it tells of.
    """

    def __init__(self, name: str = "", *_: object) -> None:
        """Take a name and no file: that may be exchanged or closed before the next line."""
        self.name = name

    def msg(self, message: str) -> None:
        """Write one line, if there is anybody to read it."""
        try:
            sys.stderr.write(f"{message}\n")
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):
            return

    log = debug = info = warning = warn = error = err = critical = fatal = exception = msg


class _Handler(logging.Handler):
    """Takes what libraries log, and writes it as our own lines are written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            StderrLogger().msg(self.format(record))
        except Exception:  # noqa: BLE001 - as above: a library's line must not stop the work that it tells of
            self.handleError(record)


_libraries = _Handler()


def _named(logger: Any, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = event.get("_record")
    event["logger"] = record.name if record is not None else getattr(logger, "name", "")
    return event


def configure(form: LogFormat, level: LogLevel) -> None:
    """Set up structlog and the standard library's logging alike."""
    number = logging.getLevelName(level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _named,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _keep_out,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if form is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=styled(sys.stderr))
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=StderrLogger,
        cache_logger_on_first_use=False,
    )
    forget = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    _libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[forget, renderer], foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.addHandler(_libraries)  # once: a handler that is there already is not added again
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a stranger's bad request is no error of ours
    logging.getLogger("asyncpg").setLevel(logging.ERROR)  # that a server is away is told once, by who waits for it


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
