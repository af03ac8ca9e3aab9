"""Thousands of histories, and a verdict: `python -m tests.histories`, or `make soak`.

They are played in batches, some at the same time, each drawn from the seed and its number. Most live on SQLite,
and every fifth batch on PostgreSQL. `--seed S --first B --batches 1` plays batch B of seed S again;
`--steps FILE` plays one history again, from the lines that were printed of it. The timing of the machine is not drawn:
what depends on it may take some more tries to be seen again.
"""

import argparse
import os
import secrets
import sys
from pathlib import Path

from tests.histories.batches import BATCH, again, soak


def main() -> int:
    """Read the arguments, play, and return 0 where the promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description="Histories, with a verdict.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="draws everything (default: random)")
    parser.add_argument("--first", type=int, default=0, help="number of the first batch (0)")
    parser.add_argument("--batches", type=int, default=80, help="how many batches (80)")
    parser.add_argument("--size", type=int, default=BATCH, help=f"histories in a batch ({BATCH})")
    at_once = 2 * (os.cpu_count() or 1)
    parser.add_argument(
        "--at-once", type=int, default=at_once, help=f"batches at the same time (two for each core: {at_once})"
    )
    parser.add_argument("--no-postgres", action="store_true", help="SQLite only")
    parser.add_argument("--steps", type=Path, help="play one history again, from a file with its steps")
    given = parser.parse_args()
    if given.steps is not None:
        wrong = again(given.steps.read_text("utf-8"))
        print(wrong or "The promise was KEPT")
        return 1 if wrong else 0
    print(f"seed {given.seed}: {given.batches} batches of {given.size} histories", flush=True)
    kept = soak(
        seed=given.seed, first=given.first, batches=given.batches, size=given.size, at_once=given.at_once,
        postgres=not given.no_postgres,
    )  # fmt: skip
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
