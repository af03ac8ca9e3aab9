"""Checks the types of the projects that `ledgergate connector new` writes, as their authors would."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.scaffold import Kind, new_project  # noqa: E402 - found only now


def main() -> int:
    """Write a project of each kind, and run mypy over its sources; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [str(new_project(f"typed_{kind}", kind=kind, parent=Path(folder)).directory / "src") for kind in Kind]
        environment = {**os.environ, "MYPYPATH": os.pathsep.join([*sources, str(ROOT)])}
        settings = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={ROOT / '.mypy_cache'}"]
        command = [sys.executable, "-m", "mypy", *settings, *sources]
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
