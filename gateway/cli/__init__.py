"""The command line: one program, one file a noun. `python run.py` and `ledgergate` are the same."""

import gc
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 3 done but a person is needed."""
    # What is imported stays: looking through it for garbage again and again is a sixth of the time to start.
    gc.disable()
    from gateway.cli.root import run

    return run(list(sys.argv[1:] if arguments is None else arguments))


def settled() -> None:
    """Collect garbage from now on, and never look at what the imports have made."""
    gc.freeze()
    gc.enable()
