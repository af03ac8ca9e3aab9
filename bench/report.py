"""The figures as tables for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figures import Results, Sample, shown
from bench.subjects import LIMIT
from bench.targets import outcomes
from bench.work import STAGES

HEADINGS = {
    "per_second": "a second", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "good_p99_ms": "p99 ms of good ones",
    "cpu_ms": "CPU ms each", "store_cpu_ms": "PostgreSQL's", "dispatched_meanwhile": "dispatched meanwhile",
    "first_2xx_s": "first 2xx s", "cpu_s": "CPU s", "idle_mib": "idle MiB", "loaded_mib": "loaded MiB",
    "drained_mib": "drained MiB", "waiting": "waiting", "waiting_mib": "with these MiB",
    "draining_mib": "at work on them MiB", "file_bytes_each": "file bytes each",
    "drained_per_second": "drained a second", "share_of_limit": "share of the limit", "refused": "refused",
    "cpu_percent": "CPU % of a core",
}  # fmt: skip


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with even columns: it is read on a terminal and pasted into documents."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [headings, ["-" * width for width in widths], *rows]
    padded = (
        " | ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return "\n".join(f"| {line} |" for line in padded)


def lane_table(results: Results, lane: str) -> str:
    """Return one lane's medians, with ratios to limit b where it ran beside it."""
    subjects = results.subjects(lane)
    figures = list(dict.fromkeys(name for s in subjects for sample in results.of(lane, s) for name in sample.figures))
    if lane.startswith(STAGES.format("")):
        return _stage_table(results, lane, subjects[0], figures)
    beside = LIMIT in subjects
    headings = [lane, *(HEADINGS.get(name, name) for name in figures), *(["ratio", "p99 ratio"] if beside else [])]
    rows = []
    for subject in subjects:
        cells = [shown(results.median(lane, subject, name)) for name in figures]
        if beside:
            cells += [shown(results.ratio(lane, subject, LIMIT, name)) for name in ("per_second", "p99_ms")]
        rows.append([subject, *cells])
    return table(headings, rows)


def report(results: Results, machine: dict[str, Any], command: str, rounds: int) -> str:
    """Return the whole report: machine, a table for each lane, and the targets."""
    flush = machine["flush_ms"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    on = machine["pinned"]
    cores = f"{machine['cores']} cores, server on {on['server']}, generator on {on['generator']}"
    where = f"{machine['system']} · Python {machine['python']}, {packages}, SQLite {machine['sqlite']}"
    disk = f"a flush of 4 KiB: p50 {flush['p50']} ms, p99 {flush['p99']} ms · idle before: {machine['idle_before']:.0%}"
    pace = f"a million additions in Python: {machine['loop_ms']} ms of CPU"
    how = f"medians of {rounds} interleaved rounds, ratios within a round · `{command}`"
    parts = [f"{machine['at']} · {machine['cpu']}, {cores} · {where}", f"{disk} · {pace} · {how}"]
    for lane in results.lanes():
        parts.append(lane_table(results, lane))
        parts += [f"note: {note}" for note in results.notes(lane)]
    told = outcomes(results)
    rows = [
        [one.what, f"{'≥' if one.least else '≤'} {one.bound:g}", shown(one.value), "yes" if one.met else "NO"]
        for one in told
        if one.met is not None
    ]
    if rows:
        parts.append(table(["target", "bound", "measured", "met"], rows))
    if len(rows) < len(told):
        parts.append(f"{len(told) - len(rows)} of {len(told)} targets were not measured")
    return "\n\n".join(parts)


def write_json(path: Path, results: Results, machine: dict[str, Any], command: str, rounds: int) -> None:
    """Write everything that was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "machine": machine, "command": command, "rounds": rounds,
        "samples": [asdict(sample) for sample in results.samples],
        "targets": [{**asdict(one), "met": one.met} for one in outcomes(results)],
    }  # fmt: skip
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> tuple[Results, dict[str, Any]]:
    """Return the samples of a file, and all that it says."""
    told = json.loads(path.read_text("utf-8"))
    samples = [Sample(**{**sample, "notes": tuple(sample["notes"])}) for sample in told["samples"]]
    return Results(samples), told


def _stage_table(results: Results, lane: str, subject: str, stages: Sequence[str]) -> str:
    taken = {stage: results.median(lane, subject, stage) or 0.0 for stage in stages}
    whole = sum(taken.values())
    rows = [
        [stage, shown(used), f"{used / whole:.0%}" if whole else "-"]
        for stage, used in sorted(taken.items(), key=lambda item: -item[1])
    ]
    return table([lane, "CPU ms each", "share"], [*rows, ["together", shown(whole), "100%"]])
