"""Draws what `python -m bench` has measured: a bar for each subject of each lane, as one SVG."""

import argparse
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from bench.figures import Results, shown
from bench.process import ROOT
from bench.report import read_json
from bench.subjects import EACH, FLOOR, LIMIT, OURS
from bench.work import STAGES

WIDTH, LABEL, BAR, GAP = 860, 290, 18, 6
COLOURS = {OURS: "#2a6fbb", LIMIT: "#9aa3ad", FLOOR: "#c3c9cf", EACH: "#dd8452"}
OTHER = "#b8a3c9"
MIB = "_mib"
DRAWN = {
    "drained_per_second": " worked off a second", "per_second": " a second", "share_of_limit": " of the limit",
    "first_2xx_s": " s", "p50_ms": " ms", "cpu_percent": " % of a core",
}  # fmt: skip
"""What is drawn of a lane: the first of these that it has, and its unit."""


def draw(results: Results, title: str) -> str:
    """Return the picture."""
    parts: list[str] = []
    height = 40
    for lane in results.lanes():
        bars = list(_bars(results, lane))
        if not bars:
            continue
        parts.append(_text(16, height + 14, lane, bold=True))
        height += 24
        most = max(value for _, value, _, _ in bars) or 1.0
        for name, value, told, colour in bars:
            parts.append(_bar(height, name, value / most, told, colour))
            height += BAR + GAP
        height += 14
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">'
    background = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    return "\n".join([head, background, _text(16, 24, title, bold=True), *parts, "</svg>", ""])


def _bars(results: Results, lane: str) -> Iterator[tuple[str, float, str, str]]:
    """Return name, value, what to write beside the bar, and colour."""
    subjects = results.subjects(lane)
    names = dict.fromkeys(name for sample in results.of(lane, subjects[0]) for name in sample.figures)
    if lane.startswith(STAGES.format("")):
        for name in names:
            used = results.median(lane, subjects[0], name) or 0.0
            yield name, used, f"{shown(used)} ms", COLOURS[OURS]
        return
    if lane == "memory":
        for name in (name for name in names if name.endswith(MIB)):
            used = results.median(lane, subjects[0], name) or 0.0
            yield name.removesuffix(MIB), used, f"{shown(used)} MiB", COLOURS[OURS]
        return
    drawn, unit = next(((name, unit) for name, unit in DRAWN.items() if name in names), ("", ""))
    for subject in subjects:
        value = results.median(lane, subject, drawn)
        if value is None:
            continue
        share = results.ratio(lane, subject, LIMIT, drawn) if LIMIT in subjects else None
        told = f"{shown(value)}{unit}" + (f" · {share:.2f}" if share is not None else "")
        yield subject, value, told, COLOURS.get(subject, OTHER)


def _bar(top: int, name: str, share: float, told: str, colour: str) -> str:
    length = max(1, round((WIDTH - LABEL - 190) * share))
    return "\n".join(
        [
            _text(LABEL - 8, top + 13, name, end=True),
            f'<rect x="{LABEL}" y="{top}" width="{length}" height="{BAR}" fill="{colour}"/>',
            _text(LABEL + length + 6, top + 13, told),
        ]
    )


def _text(left: int, top: int, words: str, *, bold: bool = False, end: bool = False) -> str:
    style = (' font-weight="bold"' if bold else "") + (' text-anchor="end"' if end else "")
    return f'<text x="{left}" y="{top}" font-size="12"{style}>{escape(words)}</text>'


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw a file of figures, by default the latest."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "bench-results" / "latest.json")
    asked = parser.parse_args(arguments)
    if not asked.file.is_file():
        print(f"{asked.file} is not there: run `make bench` first")
        return 1
    results, told = read_json(asked.file)
    target = asked.file.with_suffix(".svg")
    target.write_text(draw(results, f"ledgergate, {told['machine']['at']}, {told['machine']['cpu']}"), "utf-8")
    print(f"drawn to {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
