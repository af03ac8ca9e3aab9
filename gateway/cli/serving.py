"""`serve` and `worker`: the gateway as a process, until it is told to stop."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import settled
from gateway.cli.options import examples

if TYPE_CHECKING:
    from gateway.settings import Settings

_REFUSED = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve", epilog=examples("serve", "serve --no-worker"))(serve)
    app.command("worker", epilog=examples("worker"))(worker)


def serve(*, no_worker: Annotated[bool, typer.Option("--no-worker", help="Only receive.")] = False) -> None:
    """Run the gateway: receive webhooks, serve API and console, and work."""
    _run(serve=True, work=not no_worker)


def worker() -> None:
    """Only work: for the second process or node on one database."""
    _run(serve=False, work=True)


def _run(*, serve: bool, work: bool) -> None:
    from gateway import logs, settings

    loaded = settings.load()
    logs.configure(loaded.log_format, loaded.log_level)
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop is slower and as good
        asyncio.run(_main(loaded, serve=serve, work=work))
    else:
        uvloop.run(_main(loaded, serve=serve, work=work))


async def _main(settings: "Settings", *, serve: bool, work: bool) -> None:
    """Run until SIGINT or SIGTERM. Raises GatewayError, StorageError, OSError at the start."""
    import structlog

    from gateway.app import Gateway

    log: Any = structlog.get_logger("ledgergate")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopping.set)
    gateway = Gateway(settings, serve=serve, work=work)
    async with _started(gateway, settings.host, settings.port if serve else settings.worker_port):
        settled()
        if gateway.new_admin_key is not None:
            sys.stderr.write(f"Admin API key, shown this once: {gateway.new_admin_key}\n")
        if serve:
            sys.stderr.write(f"Listening on {gateway.url}; console at {gateway.url}/console\n")
        if serve and gateway.new_admin_key is not None:
            sys.stderr.write("Open the console and log in with this key: it leads through the set-up.\n")
        sys.stderr.flush()
        log.info("started", url=gateway.url if gateway.port else None, worker=work)
        await stopping.wait()
        log.info("stopping")
    log.info("stopped")


@contextlib.asynccontextmanager
async def _started(gateway: Any, host: str, port: int | None) -> Any:
    """Enter the gateway; an address that cannot be listened on is told as such."""
    from gateway.errors import ListenError

    try:
        await gateway.__aenter__()
    except OSError as error:
        if error.errno not in _REFUSED and not isinstance(error, socket.gaierror):
            raise
        msg = f"{host}:{port}: {error.strerror or 'refused'}"
        raise ListenError(msg) from None
    try:
        yield
    finally:
        await gateway.__aexit__(None, None, None)
