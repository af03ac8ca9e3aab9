"""Secrets as people hand them over: from standard input, `env:NAME` or `file:PATH`, and never as an argument."""

import sys

from gateway.cli.options import wrong_usage
from gateway.configuration.references import MAX_FILE_BYTES, resolve

PREFIXES = ("env:", "file:")


def secret(reference: str | None, *, from_stdin: bool = False, option: str = "--secret") -> str | None:
    """Return the secret that was given one of the two ways, None when none was.

    Wrong usage for both at once, and for a secret that stands in the arguments, where every account of the machine can
    read it. Raises ConfigFileError for a reference that leads nowhere.
    """
    if reference is not None and from_stdin:
        wrong_usage(f"{option} and --secret-stdin exclude each other")
    if from_stdin:
        return read_stdin()
    return None if reference is None else referenced(reference, option=option)


def referenced(reference: str, *, option: str) -> str:
    """Return what a reference leads to. Wrong usage for anything that is none, without repeating it."""
    if not reference.startswith(PREFIXES):
        wrong_usage(f"{option}: a secret is no argument; write env:NAME or file:PATH, or use --secret-stdin")
    return resolve(reference, where=option)


def read_stdin() -> str:
    """Return the secret on standard input; a terminal is asked for it, without showing it."""
    if sys.stdin.isatty():
        import getpass

        text = getpass.getpass("Secret: ", stream=sys.stderr)
    else:
        text = sys.stdin.read(MAX_FILE_BYTES + 1)
    text = text.strip()
    if not text or len(text) > MAX_FILE_BYTES:
        wrong_usage("standard input held no secret" if not text else "standard input held more than a secret")
    return text
