"""The command line: one program, one file a noun. `python run.py` and `ledgergate` are the same."""

import sys
from collections.abc import Sequence

from gateway.cli.root import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 3 done but a person is needed."""
    return run(list(sys.argv[1:] if arguments is None else arguments))
