"""Dashboard, alert rules and the page of metrics: they parse, and name metrics, labels and codes that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.families import ALL, Family
from gateway.sources.signing import RefusalReason
from gateway.web.readings import STATES
from tests import promql
from tests.unit.test_docs import anchors
from tools import dashboard, marked, metrics_page
from tools.errors_page import entries

ROOT = Path(__file__).resolve().parents[2]
RULES_FILE = ROOT / "deploy/prometheus/ledgergate.rules.yaml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES_FILE.read_text("utf-8"))["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads(dashboard.FILE.read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
PAGE = metrics_page.PAGE.read_text("utf-8")
EXPRESSIONS = {
    **{f"rule {rule['alert']}": rule["expr"] for rule in RULES},
    **{f"panel {panel['title']} {ask['refId']}": ask["expr"] for panel in PANELS for ask in panel["targets"]},
    **{
        f"page {question}": expression.replace("\\|", "|")
        for question, expression in re.findall(r"^\| ([^|]+\?) \| `((?:[^`\\]|\\.)+)` \|$", PAGE, re.MULTILINE)
    },
}
ADDED = {"instance", "job"}
"""Labels that Prometheus adds to each series."""


def series() -> dict[str, set[str]]:
    """Every series that a gateway tells, with its labels."""
    found: dict[str, set[str]] = {"up": set(), "process_resident_memory_bytes": set(),
                                  "process_cpu_seconds_total": set()}  # fmt: skip
    for family in ALL:
        if family.kind == "histogram":
            found |= {f"{family.name}_{end}": set(family.labels) for end in ("sum", "count")}
            found[f"{family.name}_bucket"] = {*family.labels, "le"}
        else:
            found[family.name] = set(family.labels)
    return found


def values() -> dict[str, set[str]]:
    """The values of those labels whose values are words of ours."""
    codes = {entry.code for entry in entries()}
    reasons = codes | {str(reason) for reason in RefusalReason} | {"paused_by_operator", "being_removed", "other"}
    return {
        "status": set(STATES), "token": {"access", "refresh", "consent"}, "duplicate": {"true", "false"},
        "reason": reasons, "code": codes | {"", "other"}, "answer": {"2xx", "3xx", "4xx", "5xx", "none"},
    }  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_an_expression_names_what_there_is(expression: str) -> None:
    named, known, words = promql.read(expression), series(), values()
    assert named.metrics
    assert named.metrics <= set(known)
    for metric, label, _, value in named.matchers:
        assert label in known[metric] | ADDED, f"{metric} has no label {label}"
        assert label not in words or set(value.split("|")) <= words[label], f"{label} is never {value}"
    assert named.grouped <= ADDED | {label for metric in named.metrics for label in known[metric]}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_leads_to_the_runbook(rule: dict[str, Any]) -> None:
    """By an error code, or by the label that holds one; what it quotes is a label of its result."""
    told = rule["annotations"]
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert len(told["summary"]) > 10
    page, _, anchor = told["runbook_url"].partition(".html#")
    assert page == "https://docs.example.org/ledgergate/docs/runbook"
    if not anchor.startswith("{{"):
        assert anchor in anchors(ROOT / "docs/runbook.md")
    else:
        assert anchor in {"{{ $labels.code }}", "{{ $labels.reason }}", "{{ $labels.outcome }}"}
    quoted = {name for text in told.values() for name in re.findall(r"\$labels\.(\w+)", text)}
    named = promql.read(rule["expr"])
    kept = named.grouped or {label for metric in named.metrics for label in series()[metric]}
    assert quoted <= kept | ADDED


def test_names_of_rules_and_panels_are_there_once() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) >= 15
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_is_current_and_its_panels_lie_beside_each_other() -> None:
    """A changed tools/dashboard.py without a run of it fails here."""
    assert dashboard.FILE.read_text("utf-8") == dashboard.text()
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= dashboard.WIDTH
        taken |= cells


@pytest.mark.parametrize("family", [family for family in ALL if family.kind != "gauge"], ids=lambda one: one.name)
def test_what_is_counted_is_drawn(family: Family) -> None:
    drawn = {name for panel in PANELS for ask in panel["targets"] for name in promql.read(ask["expr"]).metrics}
    assert any(name.startswith(family.name) for name in drawn)


def test_the_page_is_current() -> None:
    """A changed metric without `python -m tools.metrics_page` fails here."""
    assert marked.filled(metrics_page.PAGE, metrics_page.parts()) == PAGE


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on PATH")
@pytest.mark.parametrize("what", ["ledgergate.rules.yaml", "ledgergate.rules.test.yaml"])
def test_promtool_takes_the_rules_and_their_tests(what: str) -> None:
    verb = "test" if what.endswith(".test.yaml") else "check"
    done = subprocess.run(
        ["promtool", verb, "rules", what], cwd=RULES_FILE.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_wrong_in_an_expression_is_found() -> None:
    with pytest.raises(ValueError, match="never closed"):
        promql.read("sum(rate(x[5m])")
    with pytest.raises(ValueError, match="not PromQL"):
        promql.read("sum(x) ; y")
    named = promql.read('sum by (a, le) (rate(x_bucket{b=~"c|d", e!="f"}[5m])) / on (a) y offset 1h > bool 3.5')
    assert named.metrics == {"x_bucket", "y"}
    assert named.matchers == [("x_bucket", "b", "=~", "c|d"), ("x_bucket", "e", "!=", "f")]
    assert named.grouped == {"a", "le"}
