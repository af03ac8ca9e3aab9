"""A disk whose flush takes longer: a preloaded shim, built where a C compiler is installed."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def slower(folder: Path, milliseconds: float) -> Mapping[str, str] | None:
    """Return the environment under which each flush takes so much longer, None where no compiler is installed."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    shim = folder / "flush.so"
    if not shim.exists():
        source = Path(__file__).with_name("flush.c")
        done = subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", str(shim), str(source), "-ldl"],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return None
    return {"LD_PRELOAD": str(shim), "BENCH_FLUSH_US": str(int(milliseconds * 1000))}
