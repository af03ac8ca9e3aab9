"""Writes the tables of docs/metrics.md from the metrics themselves; `--check` fails when they are not current."""

from pathlib import Path

from gateway.families import ALL, LABELS
from tools import marked

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"


def parts() -> dict[str, str]:
    """Return the made parts of the page, by name."""
    metrics = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for family in ALL:
        named = ", ".join(f"`{label}`" for label in family.labels)
        metrics.append(f"| `{family.name}` | {family.kind} | {named} | {family.meaning} |")
    labels = ["| label | can be |", "|---|---|", *(f"| `{name}` | {told} |" for name, told in sorted(LABELS.items()))]
    return {"metrics": "\n".join(metrics), "labels": "\n".join(labels)}


if __name__ == "__main__":
    raise SystemExit(marked.run(PAGE, parts()))
