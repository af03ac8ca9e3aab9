"""The program, forked after its imports: `python -m tests.integration.cli_zygote`, with orders on a socket as stdin.

An order is one byte with five files: the order as JSON (`{"arguments": […], "env": {…}}`), the three streams of the
command, and a pipe that tells the command's pid and then its exit code, as lines. The command is a process of its own
in all but its imports, which take ten times as long as what it does: it has its own environment, streams and end.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import socket
import sys
import threading
from collections.abc import Iterator

import connectors
import gateway
import storage
from gateway.cli import main
from gateway.cli.root import commands
from gateway.plugins import connector_plugins, source_plugins

ORDER, STREAMS, ANSWER = 0, slice(1, 4), 4


def load() -> None:
    """Import all that a command may import, and make once what is the same for each."""
    for package in (gateway, connectors, storage):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    commands()
    connector_plugins()
    source_plugins()
    gc.collect()
    gc.freeze()


def orders() -> Iterator[list[int]]:
    """Give the files of each order, until nobody can send one any more."""
    with socket.socket(fileno=os.dup(0)) as boss:
        while True:
            got, files, *_ = socket.recv_fds(boss, 1, 5)
            if not got:
                return
            yield files


def watch(files: list[int]) -> bool:
    """Fork a command and tell how it ends. True in the command itself, which is yet to run."""
    pid = os.fork()
    if pid == 0:
        return True
    with os.fdopen(files[ANSWER], "w", buffering=1) as answer, contextlib.suppress(BrokenPipeError):
        answer.write(f"{pid}\n")
        _, status = os.waitpid(pid, 0)
        answer.write(f"{os.waitstatus_to_exitcode(status)}\n")
    return False


def become(files: list[int]) -> None:
    """Take the place of `run.py` in a process that has just been started."""
    with os.fdopen(files[ORDER], encoding="utf-8") as file:
        order = json.load(file)
    for number, stream in enumerate(files[STREAMS]):
        os.dup2(stream, number)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
    for file_number in files[1:]:
        os.close(file_number)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["run.py", *order["arguments"]]


def reap(options: int) -> None:
    """Let go of the watchers that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def end(code: int) -> None:
    """End as Python does: wait for threads, flush, go. To take apart what was imported would double the time."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def serve() -> None:
    """Answer orders until there are none. A command ends in here; what it raises goes on, as from `run.py`."""
    load()
    for files in orders():
        if os.fork() == 0:
            if not watch(files):
                os._exit(0)
            become(files)
            end(main())
        for number in files:
            os.close(number)
        reap(os.WNOHANG)
    reap(0)


if __name__ == "__main__":
    serve()
