"""Write requirements.lock and requirements-dev.lock from pyproject.toml, for every platform, with hashes.

Run by `make lock`. Pins that still fit stay as they are; `--upgrade` takes the newest of everything.
The resolver (uv) is installed into a throw-away environment, so neither it nor this machine's package
settings find a way into the files.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESOLVER = "uv==0.13.9"
HEADER = """\
# {what}
# Made from pyproject.toml by `make lock`; not edited by hand. Every platform, one version each, with hashes.
"""
# All that a line may be. A URL, a path or an index option is none of these.
LINE = re.compile(
    r"#[^/]*"
    r"|[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.+!]*(?: ; [a-zA-Z0-9_.'() =<>!]+)? \\"
    r"|    --hash=sha256:[0-9a-f]{64}(?: \\)?",
)


def wanted(pyproject: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what running needs (with PostgreSQL, and the build backend), and what developing needs on top."""
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    running = project["dependencies"] + extras["postgres"] + pyproject["build-system"]["requires"]
    developing = [line for extra in extras.values() for line in extra] + pyproject["dependency-groups"]["dev"]
    return running, developing


def compile_lock(uv: Path, requirements: list[str], target: Path, *, limits: Path | None, upgrade: bool) -> None:
    """Resolve `requirements` into the file `target`, whose pins are kept where they fit unless `upgrade`."""
    command = [
        str(uv), "pip", "compile", "-", "--output-file", str(target), "--python-version", "3.11", "--universal",
        "--fork-strategy", "fewest", "--generate-hashes", "--no-config", "--no-header", "--no-annotate",
        "--no-emit-index-url", "--quiet",
    ]  # fmt: skip
    if limits:
        command += ["--constraint", str(limits)]
    if upgrade:
        command += ["--upgrade"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    subprocess.run(command, input="\n".join(requirements), text=True, check=True, env=environment)


def main() -> int:
    """Write both files; exit status 1 when the resolver put something in them that must not be there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping pins")
    arguments = parser.parse_args()
    running, developing = wanted(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        venv.create(scratch / "venv", with_pip=True)
        scripts = scratch / "venv" / ("Scripts" if os.name == "nt" else "bin")
        subprocess.run([scripts / "python", "-m", "pip", "install", "--quiet", RESOLVER], check=True)
        everything, runtime = scratch / "requirements-dev.lock", scratch / "requirements.lock"
        for path in (everything, runtime):
            if (ROOT / path.name).exists():
                path.write_text((ROOT / path.name).read_text(encoding="utf-8"), encoding="utf-8")
        compile_lock(scripts / "uv", running + developing, everything, limits=None, upgrade=arguments.upgrade)
        compile_lock(scripts / "uv", running, runtime, limits=everything, upgrade=arguments.upgrade)
        texts = {
            runtime.name: HEADER.format(what="What the gateway needs to run, on SQLite or PostgreSQL."),
            everything.name: HEADER.format(what="What it takes to run the gateway and to work on it."),
        }
        for path in (runtime, everything):
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
            strangers = [line for line in lines if not LINE.fullmatch(line)]
            if strangers:
                print(f"{path.name}: not a pin or a hash: {strangers[0]}", file=sys.stderr)
                return 1
            texts[path.name] += "\n".join(lines) + "\n"
    for name, text in texts.items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(f"{name}: {sum('==' in line for line in text.splitlines())} pins")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
