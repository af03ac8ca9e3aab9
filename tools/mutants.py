"""Mutants: whether a test notices each small change of the code that the promise rests on. `make mutants`.

Every change of tools/mutating.py is made, alone, and the tests that reach its line are run, quickest first, up to the
first that fails. A change that no test notices survives: it is printed, and has to stand in docs/mutants.md with the
reason why it changes nothing, else the command fails. So it does for a reason whose mutant is killed, or is gone.
`--sample N` tries so many of each module, drawn from a seed that is printed.
"""

import argparse
import importlib.abc
import importlib.machinery
import os
import random
import re
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from tools.mutating import Mutant, mutants
from tools.reaching import Reach, chosen, hush, reach, run

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = (
    "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=1", "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
OURS = ("gateway", "connectors", "storage", "tests")
EXPLAINED = ROOT / "docs" / "mutants.md"
TARGETS: dict[str, tuple[str, ...]] = {
    "gateway.sources.signing": (
        "tests/unit/test_signing.py", "tests/unit/test_signing_headers.py", "tests/unit/test_signing_secrets.py",
        "tests/unit/test_signing_static.py", "tests/unit/test_signing_intuit.py", "tests/unit/test_signing_fuzz.py",
    ),
    "gateway.pipeline.matching": ("tests/unit/test_matching.py", "tests/unit/test_recovery_schedule.py"),
    "gateway.pipeline.policy": ("tests/unit/test_retry_policy.py",),
    "gateway.pipeline.ensure": (
        "tests/integration/test_old_decisions.py",
        "tests/integration/test_ensure_hints.py", "tests/integration/test_ensure_refused.py",
        "tests/integration/test_ensure_again.py", "tests/integration/test_ensure_nomod.py",
        "tests/integration/test_ensure_errors.py", "tests/integration/test_ensure_quickbooks.py",
        "tests/integration/test_ensure_races.py", "tests/integration/test_drift.py",
        "tests/integration/test_tithely.py", "tests/integration/test_invoices_nomod.py",
        "tests/integration/test_invoices_waiting.py", "tests/integration/test_invoices_odd.py",
        "tests/integration/test_invoices_voided.py",
    ),
}  # fmt: skip
"""Modules, and the tests that have to notice, quickest first."""
HANGS = 60.0, 10.0
"""A mutant hangs, which somebody would notice, after so many seconds and so many times what its tests take."""
_ROW = re.compile(r"^\| `([^`]+)` \| ``? ?(.+?) ?``? \| (.+) \|$")


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its changed code, and leaves all others alone."""

    def __init__(self, module: str, mutant: Mutant) -> None:
        self._module, self._mutant = module, mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.machinery.ModuleSpec(name, self, origin=str(_file(name))) if name == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree, str(_file(self._module)), "exec"), module.__dict__)  # noqa: S102 - our own code


def _file(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


class _Hunter:
    """A plugin of pytest: once the tests are collected, each mutant gets those it needs in a process of its own."""

    def __init__(self, module: str, made: Sequence[Mutant], at_once: int) -> None:
        self._module, self._made, self._at_once = module, made, at_once
        self._reached: Mapping[str, Reach] = {}
        self.verdicts: dict[int, bool] = {}
        """Number of each mutant → whether a test has failed. Empty where one fails without any change."""
        self.hung = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        found = reach(session, _file(self._module))
        if found is None:
            return True
        self._reached = found
        running: dict[int, tuple[int, float]] = {}
        """Process → number of its mutant, and when it hangs."""
        waiting = list(range(len(self._made)))
        while waiting or running:
            while waiting and len(running) < self._at_once:
                number = waiting.pop(0)
                pid = os.fork()
                if pid == 0:
                    self._become(session, self._made[number])
                running[pid] = (number, time.monotonic() + self._patience(self._made[number]))
            for pid, (number, deadline) in list(running.items()):
                late = time.monotonic() > deadline
                if late:
                    os.kill(pid, signal.SIGKILL)
                    self.hung += 1
                ended, status = os.waitpid(pid, 0 if late else os.WNOHANG)
                if ended:
                    self.verdicts[number] = os.waitstatus_to_exitcode(status) != 0
                    del running[pid]
            time.sleep(0.01)
        return True

    def _patience(self, mutant: Mutant) -> float:
        """Return after how many seconds it hangs."""
        names = chosen(self._reached, mutant.lines) if mutant.inside else self._reached
        least, times = HANGS
        return least + times * sum(self._reached[name].seconds for name in names)

    def _become(self, session: pytest.Session, mutant: Mutant) -> None:
        """Become a run of the tests, up to the first that fails. Never returns."""
        code = 70
        try:
            hush()
            if mutant.inside and _swapped(self._module, mutant):
                code = int(not run(session, chosen(self._reached, mutant.lines)))
            else:
                code = _imported_again(self._module, mutant)
        except BaseException:  # noqa: BLE001 - its code says so
            traceback.print_exc()
        finally:
            os._exit(code)


def _imported_again(module: str, mutant: Mutant) -> int:
    """Run the tests in a new session, with all of our code imported again."""
    for name in [name for name in sys.modules if name.split(".", 1)[0] in OURS]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Changed(module, mutant))
    return int(pytest.main([*OPTIONS, "-x", *TARGETS[module]]))


def _swapped(module: str, mutant: Mutant) -> bool:
    """Give the function that is there its changed code, wherever it was imported to; return whether that went."""
    found: Any = sys.modules[module]
    code = compile(mutant.tree, str(_file(module)), "exec")
    for name in mutant.where.split("."):
        found = vars(found)[name]
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name)
        found = getattr(found, "__func__", getattr(found, "fget", None) or getattr(found, "__wrapped__", found))
        if isinstance(found, FunctionType):
            found.__code__ = code
            return True
    return False


def explained() -> dict[tuple[str, str], str]:
    """Return the survivors that have a reason."""
    found: dict[tuple[str, str], str] = {}
    for line in EXPLAINED.read_text("utf-8").splitlines():
        row = _ROW.match(line)
        if row is not None:
            found[row[1], row[2].replace("\\|", "|")] = row[3]
    return found


def hunt(module: str, made: Sequence[Mutant], at_once: int) -> tuple[list[Mutant], int]:
    """Try mutants of a module; return those that live, and how many of the others were killed for hanging."""
    hunter = _Hunter(module, made, at_once)
    pytest.main([*OPTIONS, *TARGETS[module]], plugins=[hunter])
    if len(hunter.verdicts) < len(made):
        sys.exit(f"{module}: its tests fail without any change")
    return [mutant for number, mutant in enumerate(made) if not hunter.verdicts[number]], hunter.hung


def _look(module: str, reasons: Mapping[tuple[str, str], str], given: argparse.Namespace) -> int:
    """Hunt in one module, and tell of it; return how many survivors, or reasons, are out of place."""
    begun, made = time.monotonic(), list(mutants(_file(module).read_text("utf-8")))
    tried = made
    if given.sample is not None and given.sample < len(made):
        tried = random.Random(f"{given.seed}/{module}").sample(made, given.sample)  # noqa: S311 - not a secret
    names = {(f"{module}:{mutant.where}", mutant.change): mutant for mutant in tried}
    survivors, hung = hunt(module, tried, given.at_once)
    living = {(f"{module}:{mutant.where}", mutant.change) for mutant in survivors}
    known = {key for key in reasons if key[0].startswith(f"{module}:")}
    gone = known - living if tried is made else (known & set(names)) - living
    told = f"{len(tried)} of {len(made)} mutants, {len(tried) - len(living)} killed ({hung} hung), {len(living)} live"
    print(f"{module}: {told}, {time.monotonic() - begun:.0f} s", flush=True)
    for where, change in sorted(living - known):
        print(f"  lives: {where}, line {names[where, change].lines.start}: {change}")
    for where, change in sorted(gone):
        print(f"  killed by now, or gone: {where}: {change}")
    return len(living - known) + len(gone)


def main() -> int:
    """Hunt, and return 0 where every survivor has a reason and every reason a survivor."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Whether the tests notice small changes.")
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 2, help="mutants at the same time (all cores)")
    parser.add_argument("--sample", type=int, help="how many of each module are tried (all)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="draws the sample (random)")
    given = parser.parse_args()
    os.chdir(ROOT)
    if given.sample is not None:
        print(f"seed {given.seed}", flush=True)
    reasons = explained()
    wrong = sum(_look(module, reasons, given) for module in given.modules or TARGETS)
    at_fault = f"{wrong} to look at: kill them, or explain them in {EXPLAINED.name}"
    print(at_fault if wrong else "every survivor is explained")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
