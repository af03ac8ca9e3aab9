"""`python -m bench`: which lanes, how many rounds, where the figures go."""

import argparse
import shlex
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import door, durable, load, machine, nodes, plan, rates, work
from bench.plan import Plan
from bench.process import ROOT
from bench.report import report, write_json
from bench.targets import outcomes

LANES: dict[str, tuple[Callable[[Plan], None], str]] = {
    "start": (door.start, "seconds from the start to the first 2xx"),
    "door": (door.door, "acknowledged webhooks beside the limits, at 1, 16 and 64 connections"),
    "durable": (
        durable.durable,
        "webhooks taken in and worked off, nothing left, beside what users would pick instead",
    ),
    "flush": (door.slow_disk, "the same on a disk whose flush takes 5 ms longer"),
    "flood": (door.flood, "forged signatures, alone and with good ones among them"),
    "memory": (door.memory, "memory idle and after many deliveries, bytes on disk for each"),
    "rates": (rates.rates, "how much of a provider's limit is used, by one process and by two, and what was refused"),
    "nodes": (nodes.nodes, "several processes on one PostgreSQL: the door, wake-ups, idle cost, one worker and two"),
    "jobs": (work.jobs, "jobs for new and mapped customers, and what each stage costs"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return 0, or 1 when a lane broke off, or `--check` is given and a target was missed."""
    asked = _parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print("the figures come from Linux's /proc: nothing to measure here", file=sys.stderr)
        return 1
    lanes = [name for name in LANES if not asked.only or name in asked.only.split(",")]
    with tempfile.TemporaryDirectory(prefix="ledgergate-bench-", dir=asked.folder) as folder:
        sized = plan.smoke if asked.smoke else plan.quick if asked.quick else plan.whole
        made = sized(Path(folder))
        made.rounds = asked.rounds or made.rounds
        made.peer_python, made.peer_modules = asked.peer_python, asked.peer_modules.resolve()
        print(f"{'wrk' if load.has_wrk() else 'own generator: wrk is not installed'}; lanes: {', '.join(lanes)}")
        if asked.quiet and not machine.wait_until_quiet(asked.quiet):
            print("others are using this machine: read the ratios, not the rates")
        facts = machine.facts()
        broken = [name for name in lanes if not _ran(name, made)]
    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if arguments is None else arguments)])
    print(f"\n{report(made.results, facts, command, made.rounds)}")
    if not asked.smoke:
        named = asked.out / f"{facts['at'].replace(':', '')}.json"
        write_json(named, made.results, facts, command, made.rounds)
        shutil.copyfile(named, asked.out / "latest.json")
        print(f"\nwritten to {named}")
    missed = [one.what for one in outcomes(made.results) if one.met is False]
    if broken:
        print(f"broke off: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken or (asked.check and missed) else 0


def _ran(name: str, made: Plan) -> bool:
    """Run a lane; return whether it came to its end. The figures of the others are worth keeping when it did not."""
    print(f"{name}: {LANES[name][1]}", flush=True)
    try:
        LANES[name][0](made)
    except Exception:  # noqa: BLE001 - whatever it was, it is shown, and the run goes on
        traceback.print_exc()
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures the gateway beside the limits of this machine."
    )
    parser.add_argument("--only", default="", help=f"lanes, comma separated: {', '.join(LANES)}")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds (3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a few minutes, rough")
    parser.add_argument("--smoke", action="store_true", help="a few hundred requests: does it run at all")
    parser.add_argument("--quiet", type=float, default=30.0, help="seconds to wait for a quiet machine (30; 0: none)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target was missed")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="where the JSON goes")
    parser.add_argument("--folder", type=Path, help="where databases are made: the disk that is measured")
    parser.add_argument("--peer-python", default=_peer_python(), help="an interpreter that has the Python peers")
    parser.add_argument(
        "--peer-modules", type=Path, default=ROOT / ".node-peers", help="a folder with Restate in its node_modules"
    )
    return parser


def _peer_python() -> str:
    """Return the interpreter into which `make bench-peers` installs, else this one."""
    installed = ROOT / ".venv-peers" / "bin" / "python"
    return str(installed) if installed.exists() else sys.executable
