"""The benchmark: its statistics and its report; that it runs at all; no timing is asserted."""

import asyncio
import json
import random
import sys
from pathlib import Path

import pytest
from multidict import CIMultiDict

from bench import capacity, deliveries, generator, load
from bench.cli import LANES, main
from bench.figures import Results, Sample, percentile, shown
from bench.plot import draw
from bench.plot import main as plot
from bench.report import read_json, report, table, write_json
from bench.stages import OTHER, stage_of
from bench.subjects import LIMIT, OURS
from bench.targets import Outcome, outcomes
from gateway.sources.signing import StandardWebhooksVerifier

ROOT = Path(__file__).resolve().parents[2]
MACHINE = {
    "at": "2026-11-22T00:00:00Z", "cpu": "a processor", "cores": 2, "pinned": {"server": 0, "generator": 1},
    "system": "Linux", "python": "3.11", "sqlite": "3.40", "packages": {"aiohttp": "3.14"}, "idle_before": 0.98,
    "flush_ms": {"p50": 0.1, "p99": 0.2}, "loop_ms": 60.0,
}  # fmt: skip


def results() -> Results:
    """Three rounds in which the machine's speed halves and doubles: the ratio stays."""
    made = Results()
    for turn, speed in enumerate((1.0, 0.5, 2.0)):
        for subject, rate in ((LIMIT, 20_000.0), (OURS, 15_000.0)):
            figures = {"per_second": rate * speed, "p99_ms": 4.0 / speed}
            made.add(Sample(lane="door c=64", subject=subject, round=turn, figures=figures))
    made.add(Sample(lane="stages: x", subject=OURS, round=0, figures={"ensure": 0.3, "dispatch": 0.1}))
    made.add(Sample(lane="start", subject=OURS, round=0, figures={"first_2xx_s": 0.5}, notes=("as it should",)))
    return made


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([], 0.5) == 0.0
    assert percentile([7.0], 0.99) == 7.0


def test_medians_are_over_rounds_and_ratios_within_one() -> None:
    made = results()
    assert made.median("door c=64", OURS, "per_second") == 15_000
    assert made.ratio("door c=64", OURS, LIMIT, "per_second") == 0.75
    assert made.ratio("door c=64", OURS, "nobody", "per_second") is None
    assert made.median("door c=64", OURS, "unknown") is None


@pytest.mark.parametrize(
    "value,text",
    [(None, "-"), (0.0, "0.00"), (0.01234, "0.012"), (1.5, "1.50"), (12.345, "12.3"), (15234.6, "15,235")],
)
def test_numbers_are_shown_by_what_matters_in_them(value: float | None, text: str) -> None:
    assert shown(value) == text


def test_a_table_is_markdown_with_even_columns() -> None:
    lines = table(["a", "number"], [["long name", "1"], ["b", "22"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2] == "| long name |      1 |"


def test_the_report_names_machine_command_figures_notes_and_targets() -> None:
    text = report(results(), MACHINE, "python -m bench", 3)
    for expected in ("a processor", "python -m bench", "15,000", "0.750", "as it should", "≥ 0.6", "not measured"):
        assert expected in text
    assert "ensure" in text
    assert "75%" in text


def test_a_target_is_met_missed_or_not_measured() -> None:
    found = {one.what: one.met for one in outcomes(results())}
    assert found["door c=64: rate against limit b"] is True
    assert found["start to first 2xx, s"] is True
    assert found["memory idle, MiB"] is None
    assert Outcome("x", 1.0, 2.0, least=False).met is False
    assert Outcome("x", 2.0, 1.0, least=True).met is False


def test_figures_are_the_same_after_writing_and_reading_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out" / "latest.json"
    write_json(file, results(), MACHINE, "python -m bench", 3)
    read, told = read_json(file)
    assert read == results()
    assert told["command"] == "python -m bench"
    assert plot([str(file)]) == 0
    picture = file.with_suffix(".svg").read_text("utf-8")
    assert picture == draw(results(), "ledgergate, 2026-11-22T00:00:00Z, a processor")
    assert plot([str(tmp_path / "nothing.json")]) == 1
    assert "make bench" in capsys.readouterr().out


def test_every_kind_of_lane_is_drawn_with_its_unit() -> None:
    made = Results()
    for lane, figures in (
        ("memory", {"idle_mib": 61.0, "waiting": 9.0}), ("rate limit, one process", {"share_of_limit": 0.97}),
        ("start", {"first_2xx_s": 0.5}), ("worked off", {"per_second": 9.0, "drained_per_second": 7.0}),
    ):  # fmt: skip
        made.add(Sample(lane=lane, subject=OURS, round=0, figures=figures))
    picture = draw(made, "x")
    for told in ("61.0 MiB", "0.970 of the limit", "0.500 s", "7.00 worked off a second"):
        assert told in picture
    assert picture.count('fill="#2a6fbb"') == 4


def test_a_sample_belongs_to_the_first_stage_with_a_frame_on_its_stack() -> None:
    stack = [
        "/x/aiohttp/client.py:_request",
        "/x/gateway/sources/flexprice.py:confirm",
        "/x/gateway/pipeline/ensure.py:a",
    ]
    assert stage_of(stack) == "ensure: platform's API"
    told = ["/x/gateway/pipeline/telling.py:attempt", "/x/gateway/pipeline/worker.py:_attempt"]
    assert stage_of(told).startswith("log")
    assert stage_of(["/x/uvloop/loop.py:run"]) == OTHER


def test_the_webhooks_are_signed_unique_and_forged_in_the_wanted_share(tmp_path: Path) -> None:
    made = deliveries.invoices(200, path="/webhooks/billing-0", port=1, forged=0.25, seed=7)
    assert sum(one.forged for one in made) == 50
    assert len({one.raw for one in made}) == 200
    verifier = StandardWebhooksVerifier(deliveries.SECRETS)
    head, _, body = made[0].raw.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    headers = CIMultiDict((name, value) for name, _, value in lines)
    verified = verifier.verify(headers, body, now=float(headers["webhook-timestamp"]))
    assert verified.secret_index == 1
    assert json.loads(body)["event_type"] == deliveries.EVENT
    assert 1800 < deliveries.size(made) < 2100
    assert deliveries.read(*deliveries.write(made, tmp_path)) == made


async def test_the_generator_sends_each_request_once_and_counts_answers_and_cuts(rng: random.Random) -> None:
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            if len(got) == 90:
                break
            got.append(body)
            status = b"401 Unauthorized" if len(got) % 3 == 0 else b"202 Accepted"
            answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}"
            cut = rng.randrange(len(answer))
            writer.write(answer[:cut])
            await writer.drain()
            await asyncio.sleep(0)
            writer.write(answer[cut:])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = deliveries.invoices(100, path="/", port=port)
    done = await generator.send(made, port=port, connections=4)
    server.close()
    await server.wait_closed()
    assert done.statuses == {"202": 60, "401": 30}
    assert len(set(got)) == 90
    assert done.requests == 90
    assert done.errors > 0
    assert done.unexpected(forged=30) == done.errors


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the figures come from /proc")
def test_it_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The door beside the limits, webhooks worked off, jobs of a few customers: real servers, few requests."""
    arguments = ["--smoke", "--only", "door,durable,jobs", "--quiet", "0", "--peer-python", sys.executable]
    assert main([*arguments, "--peer-modules", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert OURS in told
    assert LIMIT in told
    assert "stages: job, mapped customer" in told
    assert "not as they should be" not in told
    assert not (tmp_path / "out").exists()
    assert {"door", "jobs", "flush", "flood", "memory", "start", "durable", "rates", "nodes"} == set(LANES)
    assert load.spare(4) in (0, 4 * load.SPARE)


def test_the_page_shows_what_the_capacity_model_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main([]) == 0
    assert capsys.readouterr().out.strip() in (ROOT / "docs/performance.md").read_text("utf-8")
