"""The quick start, followed to the letter: what it says in the sandbox ends at a customer there."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.places import ROOT

pytestmark = pytest.mark.timeout(600)  # what installs and starts processes
PAGE = (ROOT / "docs/quickstart.md").read_text("utf-8")
SECTION = PAGE.partition("## 2. Make a customer of your own")[2].partition("\n## ")[0]
PROGRAM = f"{sys.executable} {ROOT / 'run.py'}"
PATIENCE = 90.0


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[dict[str, str]]:
    """`make demo KEEP=1` in one terminal; what it says to paste into another."""
    output = tmp_path / "demo.txt"
    with output.open("wb") as told:
        process = subprocess.Popen([sys.executable, ROOT / "run.py", "demo", "--keep"], stdout=told, cwd=tmp_path)
    try:
        deadline = time.monotonic() + PATIENCE
        while "Running until" not in (text := output.read_text("utf-8")):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        (line,) = re.findall(r"^ *export (.+)$", text, re.MULTILINE)
        assert "Admin API key of this sandbox: lgk_" in text
        yield dict(word.split("=", 1) for word in line.split())
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.curl
def test_a_gift_becomes_a_customer_of_the_sandbox(sandbox: dict[str, str], tmp_path: Path) -> None:
    """Once, however often it is posted."""
    (gift,) = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)
    (block,) = re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "gift.json").write_text(gift, "utf-8")
    commands = [line.removeprefix("$ ").replace(".venv/bin/ledgergate", PROGRAM) for line in block.splitlines()]

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env={**os.environ, **sandbox},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    sign, post, deliveries, links = commands
    run(sign)
    answer = json.loads(run(post))
    assert answer["duplicate"] is False
    assert "tithely-sandbox" in run(deliveries)
    deadline = time.monotonic() + PATIENCE
    while "grace-hopper" not in (shown := run(links)):
        assert time.monotonic() < deadline, shown
    assert "quickbooks-church" in shown
    assert json.loads(run(post)) == {**answer, "duplicate": True}
    run(f"{PROGRAM} connection test nomod-sandbox")
    findings = json.loads(run(f"{PROGRAM} doctor --json || test $? = 3"))["findings"]
    assert [each for each in findings if each["check"] == "platform" and each["level"] != "ok"] == []
    (row,) = json.loads(run(f"{links} --json"))["items"]
    assert (row["entity_id"], row["connection"], row["status"]) == ("grace-hopper", "quickbooks-church", "linked")
