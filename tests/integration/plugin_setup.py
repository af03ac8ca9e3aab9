"""Distributions with plugins in them, made in a directory and found there like any other that is installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GOOD = """
from connectors.nomod import NomodConnector

class Plugged(NomodConnector):
    name = "plugged"
    title = "Plugged in"
"""


def distribution(folder: Path, name: str, *, module: str, code: str, entries: dict[str, dict[str, str]]) -> None:
    """Put a module and the metadata of its distribution into a directory."""
    (folder / f"{module}.py").write_text(code, "utf-8")
    metadata = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", "utf-8")
    groups = []
    for group, found in entries.items():
        groups += [f"[{group}]", *(f"{key} = {value}" for key, value in found.items()), ""]
    (metadata / "entry_points.txt").write_text("\n".join(groups), "utf-8")


def connector(folder: Path, code: str, *, name: str = "plugged", distribution_name: str = "ledgergate-plugged") -> None:
    """Install a connector `NAME` whose class is `Plugged` of these lines."""
    module = distribution_name.replace("-", "_")
    distribution(
        folder, distribution_name, module=module, code=code,
        entries={"ledgergate.connectors": {name: f"{module}:Plugged"}},
    )  # fmt: skip


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Let Python find what lies in the directory."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith("ledgergate_")]:
            del sys.modules[name]
