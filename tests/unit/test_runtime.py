"""What runs needs only what requirements.lock installs: `make demo` and `make run` bring no test tools."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Imports every module of the three packages but the shipped test suites, in a Python that has only the pinned packages.
PROGRAM = """
import importlib, importlib.abc, importlib.metadata, pkgutil, re, sys

allowed = set(sys.argv[1].split(","))
known = importlib.metadata.packages_distributions()
plain = lambda name: re.sub("[-_.]+", "-", name).lower()

class Gate(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        homes = known.get(name.partition(".")[0])
        if homes and not any(plain(home) in allowed for home in homes):
            raise ModuleNotFoundError(f"{name} is not among the packages that running needs", name=name)
        return None

sys.meta_path.insert(0, Gate())
# gateway first: what it takes from the suites (the sandbox takes the simulators) is then imported on its behalf
for root in ("gateway", "storage", "connectors"):
    package = importlib.import_module(root)
    for module in pkgutil.walk_packages(package.__path__, f"{root}.", onerror=lambda name: None):
        if "testing" not in module.name.split(".") and not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""


def run(allowed: set[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, ",".join(sorted(allowed))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def pinned() -> set[str]:
    return set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_module_imports_with_the_runtime_pins_alone() -> None:
    result = run(pinned() | {"ledgergate"})
    assert result.returncode == 0, result.stderr
    assert {"connectors.base", "storage.records"} <= set(result.stdout.split())


def test_a_package_that_is_not_pinned_would_be_noticed() -> None:
    result = run(pinned() - {"aiohttp"})
    assert "aiohttp is not among the packages that running needs" in result.stderr
