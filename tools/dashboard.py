"""Writes deploy/grafana/ledgergate.json, a dashboard for Grafana 10 and newer; `--check`: is it current?"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parent.parent / "deploy" / "grafana" / "ledgergate.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
HERE = 'instance=~"$instance"'


class Panel(NamedTuple):
    """One panel: its title, what it asks (expression by legend), its unit; `kind` is stat or timeseries."""

    title: str
    asks: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    says: str = ""
    limit: float | None = None
    """The value from which a stat is red."""


def quantile(share: float, metric: str, by: str = "") -> str:
    """Return a quantile of a histogram, over the time between two points."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{HERE}}}[$__rate_interval])))"


def rate(metric: str, by: str, where: str = "") -> str:
    """Return a counter's rate by a label."""
    matchers = f"{HERE}, {where}" if where else HERE
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


ROWS: dict[str, list[Panel]] = {
    "At a glance": [
        Panel("Store", {"": f"min(ledgergate_store_up{{{HERE}}})"}, kind="stat", width=3, says="1: it answers."),
        Panel(
            "Decisions for a person", {"": f"max(ledgergate_reviews_open{{{HERE}}})"}, kind="stat", width=4, limit=1
        ),
        Panel(
            "Dead letters", {"": f'max(ledgergate_jobs{{status="failed", {HERE}}})'}, kind="stat", width=4, limit=1
        ),
        Panel(
            "Paused connections", {"": f"count(ledgergate_connection_active{{{HERE}}} == 0) or vector(0)"},
            kind="stat", width=4, limit=1,
        ),
        Panel(
            "Oldest due job", {"": f"max(ledgergate_backlog_age_seconds{{{HERE}}})"}, "s", "stat", 4, limit=1800.0,
            says="Those of paused connections are among them.",
        ),
        Panel("Acknowledged within (p99)", {"": quantile(0.99, "ledgergate_ack_seconds")}, "s", "stat", 5, limit=1.0),
    ],
    "The door": [
        Panel("Accepted", {"{{source}}": rate("ledgergate_deliveries_accepted_total", "source")}, "reqps"),
        Panel(
            "Refused", {"{{source}}: {{reason}}": rate("ledgergate_deliveries_rejected_total", "source, reason")},
            "reqps", says="Signature failures by reason; `unknown` is a source that is not there.",
        ),
        Panel(
            "Time to acknowledge",
            {f"p{int(share * 100)}": quantile(share, "ledgergate_ack_seconds") for share in (0.5, 0.95, 0.99)}, "s",
            says="From the last byte to the answer, the flush to disk included.",
        ),
        Panel(
            "Waiting", {
                "for the disk": f"sum(ledgergate_deliveries_waiting{{{HERE}}})",
                "for a worker": f"max(ledgergate_deliveries_undispatched{{{HERE}}})",
            },
        ),
        Panel(
            "Repeats", {"{{source}}": rate("ledgergate_deliveries_accepted_total", "source", 'duplicate="true"')},
            "reqps", says="The same delivery again; it is absorbed.",
        ),
        Panel(
            "Looks for events that never came",
            {
                "{{source}}: {{outcome}}": rate("ledgergate_polls_total", "source, outcome"),
                "{{source}}: found": rate("ledgergate_deliveries_polled_total", "source"),
            },
            "reqps",
        ),
    ],
    "Work": [
        Panel("Attempts by outcome", {"{{outcome}}": rate("ledgergate_attempts_total", "outcome")}, "ops"),
        Panel(
            "Errors by code", {"{{connection}}: {{code}}": rate("ledgergate_attempts_total", "connection, code",
                                                               'code!=""')}, "ops",
            says="The runbook has a section for each code.",
        ),
        Panel("Duration of attempts (p95)", {"{{kind}}": quantile(0.95, "ledgergate_attempt_seconds", "kind")}, "s"),
        Panel("Jobs", {"{{status}}": f"max by (status) (ledgergate_jobs{{{HERE}}})"}, width=12),
        Panel("Age of the oldest due job", {"": f"max(ledgergate_backlog_age_seconds{{{HERE}}})"}, "s", width=12),
        Panel("Alerts that hold", {"{{kind}}": f"max by (kind) (ledgergate_alerts_open{{{HERE}}})"}, width=12),
        Panel(
            "Alerts told", {"{{channel}}: {{outcome}}": rate("ledgergate_alert_messages_total", "channel, outcome")},
            "ops", width=12,
        ),
    ],
    "Providers and platforms": [
        Panel(
            "Time of providers (p95)",
            {"{{connection}}": quantile(0.95, "ledgergate_provider_request_seconds", "connection")}, "s",
        ),
        Panel(
            "Answers of providers",
            {"{{connection}}: {{answer}}": rate("ledgergate_provider_request_seconds_count", "connection, answer")},
            "reqps",
        ),
        Panel(
            "Budget used", {"{{connection}}": rate("ledgergate_provider_request_seconds_count", "connection")
                            + f" / max by (connection) (ledgergate_provider_rate_limit{{{HERE}}})"}, "percentunit",
            says="Of the rate that the connection allows itself.",
        ),
        Panel(
            "Requests under way and waiting", {
                "{{connection}} under way":
                    f"sum by (connection) (ledgergate_provider_requests_in_flight{{{HERE}}})",
                "{{connection}} waiting": f"sum by (connection) (ledgergate_provider_requests_queued{{{HERE}}})",
            },
        ),
        Panel(
            "Left alone", {
                "{{connection}} asked for patience (s)":
                    f"max by (connection) (ledgergate_provider_held_seconds{{{HERE}}})",
                "{{connection}} circuit open":
                    f"max by (connection) (ledgergate_connection_circuit_open{{{HERE}}})",
            },
        ),
        Panel(
            "Paused", {"{{connection}}: {{reason}}":
                       f"max by (connection, reason) (ledgergate_connection_paused{{{HERE}}})"},
        ),
        Panel(
            "Time of platforms (p95)",
            {"{{source}}": quantile(0.95, "ledgergate_platform_request_seconds", "source")}, "s", width=12,
        ),
        Panel(
            "Consents end in",
            {"{{connection}} {{token}}": "min by (connection, token) (ledgergate_token_expiry_timestamp_seconds"
             f'{{token=~"refresh|consent", {HERE}}}) - time()'}, "s", width=12,
        ),
    ],
    "The process": [
        Panel("Memory", {"{{instance}}": f"process_resident_memory_bytes{{job=\"ledgergate\", {HERE}}}"}, "bytes"),
        Panel(
            "CPU", {"{{instance}}": f'rate(process_cpu_seconds_total{{job="ledgergate", {HERE}}}[$__rate_interval])'},
            "percentunit",
        ),
        Panel(
            "Version", {"{{instance}}: {{version}} on {{store}}": f"ledgergate_build_info{{{HERE}}}"},
        ),
    ],
}  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    return {
        "title": "ledgergate", "uid": "ledgergate", "tags": ["ledgergate"], "timezone": "browser",
        "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
            {
                "name": "instance", "label": "Instance", "type": "query", "datasource": SOURCE, "refresh": 2,
                "includeAll": True, "multi": True, "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
                "query": {"query": "label_values(ledgergate_build_info, instance)", "refId": "instance"},
            },
        ]},
        "panels": list(_panels()),
    }  # fmt: skip


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        }  # fmt: skip
        top, left = top + 1, 0
        height = 4 if all(panel.kind == "stat" for panel in panels) else 8
        for panel in panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + height
            number += 1
            yield _panel(panel, number) | {"gridPos": {"x": left, "y": top, "w": panel.width, "h": height}}
            left += panel.width
        top += height


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    made: dict[str, Any] = {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.says, "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend or panel.title,
             "datasource": SOURCE}
            for place, (legend, expression) in enumerate(panel.asks.items())
        ],
    }  # fmt: skip
    if panel.kind == "timeseries":
        made["options"] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return made


def text() -> str:
    """Return the file as it must be."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or check it."""
    if "--check" in sys.argv[1:]:
        return 0 if FILE.exists() and FILE.read_text("utf-8") == text() else 1
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
