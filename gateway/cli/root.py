"""The program itself: commands gathered, errors turned into one line and an exit code."""

import os
import sys
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.main import get_command

from gateway.cli.options import UsageError

PROGRAM = "ledgergate"
FAILED, WRONG_USAGE, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141
_COMMANDS = {
    "serve": "serving", "worker": "serving", "demo": "demo", "apply": "apply", "doctor": "doctor", "listen": "listen",
}  # fmt: skip
_NOUNS = {
    "source": "source", "connection": "connection", "delivery": "delivery", "job": "job", "mapping": "mapping",
    "payment-link": "payment_link", "review": "review", "key": "key", "connector": "connector",
    "signature": "signature", "db": "database", "secret": "secret", "audit": "audit", "alert": "alert",
    "channel": "channel", "drift": "drift",
}  # fmt: skip
_FILES = {**_COMMANDS, **_NOUNS}
"""In which file of this room each is, in the order of the help: a process loads the one that it runs, and no other."""
_COMPLETION = f"_{PROGRAM.upper()}_COMPLETE"
"""What a shell that completes a line sets, instead of arguments."""


def root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Ledgergate: no acknowledged webhook lost, no customer doubled.

    Without a command it serves. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but something needs a person.
    """
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"{PROGRAM} {installed(PROGRAM)}")
    elif context.invoked_subcommand is None:
        from gateway.cli.serving import serve

        serve()


@cache
def commands(*files: str) -> Any:
    """Return the tree of the commands in these files, of all without any, put together once in a process."""
    app = typer.Typer(add_completion=True, no_args_is_help=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback(invoke_without_command=True)(root)
    wanted = files or tuple(_FILES.values())
    for file in dict.fromkeys(_COMMANDS.values()):
        if file in wanted:
            import_module(f"gateway.cli.{file}").add_to(app)
    for noun, file in _NOUNS.items():
        if file in wanted:
            app.add_typer(import_module(f"gateway.cli.{file}").app, name=noun)
    return _told_whole(get_command(app))


def _files(arguments: list[str]) -> tuple[str, ...]:
    """Return the files that these arguments need: none, which is all, where help may be asked for or is due."""
    if _COMPLETION in os.environ:
        return ()
    if not arguments:
        return (_FILES["serve"],)
    return (_FILES[arguments[0]],) if arguments[0] in _FILES else ()


def _told_whole(command: Any) -> Any:
    """Have lists of commands show the first paragraph of each whole: typer cuts it to what is left of the line."""
    for each in getattr(command, "commands", {}).values():
        each.short_help = each.short_help or " ".join((each.help or "").partition("\n\n")[0].split())
        _told_whole(each)
    return command


def run(arguments: list[str]) -> int:
    """Run one command; return its exit code. Never a traceback, unless LEDGERGATE_LOG_LEVEL is debug."""
    try:
        code = int(commands(*_files(arguments))(args=arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
        sys.stdout.flush()
    except typer.Exit as ended:
        return ended.exit_code
    except UsageError as error:
        return _misused(error)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as ended:
        # Whoever read our output has gone, which typer makes an exit of. Python's own flush must not complain about it.
        if isinstance(ended, SystemExit) and not isinstance(ended.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:
        if os.environ.get("LEDGERGATE_LOG_LEVEL", "").lower() == "debug":
            raise
        sys.stderr.write(f"{_told(error)}\n")
        return FAILED
    return code


def _misused(error: Exception) -> int:
    """Say in one line what is wrong with the arguments, and where help is."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        sys.stderr.write(f"{context.get_help()}\n")
        return WRONG_USAGE
    path = context.command_path if context is not None else PROGRAM
    told = getattr(error, "format_message", lambda: str(error))().rstrip(".")
    sys.stderr.write(f"usage: {' '.join(told.split())}. See `{path} --help`.\n")
    return WRONG_USAGE


def _cure() -> str:
    """Return what to do about an import that fails: `doctor` could not start to say it."""
    from gateway.packages import strangers

    for package, others in strangers().items():
        names = ", ".join(others)
        return f"Uninstall {names}, whose package `{package}` overwrites ours, and install ledgergate again."
    return "Install ledgergate again, with what it depends on."


def _told(error: Exception) -> str:
    """Return an error as one line: what, and what to do about it."""
    if isinstance(error, ImportError):
        return f"installation_broken: {error}. {_cure()}"
    from gateway.errors import GatewayError, problem

    if isinstance(error, OSError) and not hasattr(error, "code"):
        place = f" {error.filename}" if error.filename else ""
        return f"io_failed:{place} {error.strerror or type(error).__name__}."
    body = problem(error)
    detail = " ".join(str(body["detail"]).split()).rstrip(".")
    if type(error) is not GatewayError and body["code"] == GatewayError.code:
        return f"{body['code']}: {detail}. Run it again with LEDGERGATE_LOG_LEVEL=debug to see where, and report it."
    return f"{body['code']}: {detail}. {body['resolution']}"
