"""A clean Python environment with the gateway's wheel in it, as somebody who installs it has."""

import os
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
"""Seconds for one program: it may install, compile and test a project on a machine that has much else to do."""
CURL = """
    #!{python}
    # Stands in for curl where there is none: -H @FILE, --data-binary @FILE, URL.
    import sys, urllib.request
    words = [word for word in sys.argv[1:] if word not in ("--fail", "--silent", "--show-error")]
    lines = open(words[words.index("-H") + 1][1:]).read().splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    body = open(words[words.index("--data-binary") + 1][1:], "rb").read()
    with urllib.request.urlopen(urllib.request.Request(words[-1], body, headers)) as answer:
        sys.stdout.write(answer.read().decode())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The environment: its programs lie in `bin`."""

    directory: Path

    @property
    def bin(self) -> Path:
        return self.directory / "bin"

    @property
    def packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.directory)}))

    def environment(self, **more: str) -> dict[str, str]:
        """What programs see: these programs first, nothing of the gateway that runs the tests, no network for pip."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        path = f"{self.bin}{os.pathsep}{kept.get('PATH', os.defpath)}"
        # The packages that everything needs lie there already, so that pip has only to put in what is being tried.
        pip = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INPUT": "1"}
        pip["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        # Of the plugins that lie there too, the ones that `ledgergate[testing]` brings.
        plugins = "-p pytest_asyncio.plugin -p pytest_aiohttp.plugin"
        pytest = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": plugins}
        return {**kept, **pip, **pytest, "PATH": path, **more}

    def run(self, *command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its good end."""
        done = subprocess.run(
            command, cwd=cwd, env=self.environment(**more), capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def install(self, project: Path) -> None:
        """Build a project's wheel and install it."""
        wheels = self.directory / "wheels" / project.name
        self.run("python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels), cwd=project)
        self.run("python", "-m", "pip", "install", "--quiet", *map(str, wheels.glob("*.whl")), cwd=self.directory)


def make_place(directory: Path) -> Place:
    """Make an environment with the gateway's wheel, which borrows what that needs from the one that runs the tests."""
    place = Place(directory=directory)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True, timeout=PATIENCE)
    (place.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    for module in ("pip", "pytest"):
        start = f"import runpy\nrunpy.run_module({module!r}, run_name='__main__')\n"
        _program(place.bin / module, f"#!{place.bin / 'python'}\n{start}")
    if not any((Path(folder) / "curl").exists() for folder in os.environ.get("PATH", "").split(os.pathsep)):
        _program(place.bin / "curl", textwrap.dedent(CURL).lstrip().format(python=place.bin / "python"))
    place.install(ROOT)
    return place


def _program(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o755)
