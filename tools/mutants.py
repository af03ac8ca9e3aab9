"""Mutants: whether a test notices each small change of the code that the promise rests on. `make mutants`.

Every change of tools/mutating.py is made, alone, and the tests of that module are run, up to the first that fails. A
change that no test notices survives: it is printed, and has to stand in docs/mutants.md with the reason why it changes
nothing, else the command fails. So it does for a reason whose mutant is killed by now, or is gone.
"""

import argparse
import ast
import importlib.abc
import importlib.machinery
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from tools.mutating import Mutant, mutants

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = (
    "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=1", "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
OURS = ("gateway", "connectors", "storage", "tests")
EXPLAINED = ROOT / "docs" / "mutants.md"
TARGETS: dict[str, tuple[str, ...]] = {
    "gateway.sources.signing": ("tests/unit/test_signing.py",),
    "gateway.pipeline.matching": ("tests/unit/test_matching.py", "tests/unit/test_recovery_schedule.py"),
    "gateway.pipeline.policy": ("tests/unit/test_retry_policy.py",),
    "gateway.pipeline.ensure": (
        "tests/integration/test_ensure_hints.py", "tests/integration/test_ensure_refused.py",
        "tests/integration/test_ensure_nomod.py", "tests/integration/test_ensure_errors.py",
        "tests/integration/test_ensure_races.py", "tests/integration/test_drift.py",
    ),
}  # fmt: skip
"""Modules, and the tests that have to notice, quickest first."""
SECONDS = 300
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
    """A plugin of pytest: once the tests are collected, each mutant gets them in a process of its own."""

    def __init__(self, module: str, made: Sequence[Mutant], at_once: int) -> None:
        self._module, self._made, self._at_once = module, made, at_once
        self.verdicts: dict[int, bool] = {}
        """Number of each mutant → whether a test has failed."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        running: dict[int, tuple[int, float]] = {}
        waiting = list(range(len(self._made)))
        while waiting or running:
            while waiting and len(running) < self._at_once:
                number = waiting.pop(0)
                pid = os.fork()
                if pid == 0:
                    _run(session, self._module, self._made[number])
                running[pid] = (number, time.monotonic())
            for pid, (number, begun) in list(running.items()):
                late = time.monotonic() - begun > SECONDS
                if late:
                    os.kill(pid, signal.SIGKILL)  # it hangs, which somebody would notice
                ended, status = os.waitpid(pid, 0 if late else os.WNOHANG)
                if ended:
                    self.verdicts[number] = os.waitstatus_to_exitcode(status) != 0
                    del running[pid]
            time.sleep(0.01)
        return True


def _run(session: pytest.Session, module: str, mutant: Mutant) -> None:
    """Become a run of the tests, up to the first that fails. Never returns."""
    code = 70
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(silence, stream)
        if mutant.inside and _swapped(module, mutant):
            for item, following in zip_longest(session.items, session.items[1:]):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    break
            code = int(session.testsfailed > 0)
        else:
            code = _imported_again(module, mutant)
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


def hunt(module: str, at_once: int) -> tuple[int, list[tuple[Mutant, str]]]:
    """Try every mutant of a module; return how many there were, and those that live, by name."""
    made = list(mutants(_file(module).read_text("utf-8")))
    named = [(mutant, f"{module}:{mutant.where}") for mutant in made]
    same = Mutant(where="", change="", line=0, inside=False, tree=ast.parse(_file(module).read_text("utf-8")))
    hunter = _Hunter(module, [same, *made], at_once)
    pytest.main([*OPTIONS, *TARGETS[module]], plugins=[hunter])
    if hunter.verdicts.pop(0, True):
        sys.exit(f"{module}: its tests fail without any change")
    verdicts = [hunter.verdicts[number] for number in range(1, len(made) + 1)]
    return len(made), [one for one, gone in zip(named, verdicts, strict=True) if not gone]


def main() -> int:
    """Hunt, and return 0 where every survivor has a reason and every reason a survivor."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Whether the tests notice small changes.")
    parser.add_argument("modules", nargs="*", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 2, help="mutants at the same time (all cores)")
    given = parser.parse_args()
    os.chdir(ROOT)
    reasons, wrong = explained(), 0
    for module in given.modules or TARGETS:
        begun = time.monotonic()
        count, living = hunt(module, given.at_once)
        known = {(where, change) for where, change in reasons if where.startswith(f"{module}:")}
        names = {(where, mutant.change) for mutant, where in living}
        new = [(mutant, where) for mutant, where in living if (where, mutant.change) not in known]
        seconds = time.monotonic() - begun
        print(
            f"{module}: {count} mutants, {count - len(living)} killed, {len(living)} live, {seconds:.0f} s", flush=True
        )
        for mutant, where in new:
            print(f"  lives: {where}, line {mutant.line}: {mutant.change}")
        for where, change in sorted(known - names):
            print(f"  killed by now, or gone: {where}: {change}")
        wrong += len(new) + len(known - names)
    print(
        "every survivor is explained"
        if not wrong
        else f"{wrong} to look at: kill them, or explain them in {EXPLAINED.name}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
