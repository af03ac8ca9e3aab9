"""Puts the files of tests into memory where there is enough of it: then no test waits for a disk to flush.

What a disk keeps after a power cut is proved from a trace of all writes (tests/crash/disk.py), on whatever file system.
"""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30
"""Free bytes: a run leaves what has failed, and one of its processes may write a good deal for a while."""


def use_memory() -> None:
    """Have temporary files made in memory, by this process and those it starts, unless TMPDIR names another place."""
    if "TMPDIR" not in os.environ and _is_fit():
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # asked for anew


def _is_fit() -> bool:
    try:
        programs_run = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
        return programs_run and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH
    except OSError:
        return False
