"""`connector`: the kinds of systems that can be connected, their quality, and projects for new ones."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import load_settings
from gateway.cli.options import Json, command, noun, wrong_usage

if TYPE_CHECKING:
    from connectors.base import Connector
    from connectors.testing.runner import Report, Result

app = noun("Connectors: the kinds of systems that can be connected.")

COLUMNS = {
    "name": "name", "title": "title", "version": "version", "distribution": "distribution", "status": "status",
    "quality": "quality", "capabilities": "capabilities", "required settings": "required",
}  # fmt: skip
WORDS = {"passed": "ok", "broken": "BROKEN", "exempt": "exempt", "todo": "to do"}


@command(app, "list", "connector list", "connector list --json")
def list_(*, json: Json = False) -> None:
    """List the connectors installed: where from, how good, what each can and needs, and why one cannot be used."""
    from gateway.errors import PluginError
    from gateway.plugins import capabilities, connector_plugins

    load_settings()
    plugins = connector_plugins()
    found: list[dict[str, Any]] = []
    for plugin in plugins.found():
        entry: dict[str, Any] = {
            "name": plugin.name, "title": None, "distribution": plugin.distribution, "version": plugin.version,
            "status": "ok", "problem": None, "quality": None, "capabilities": [], "settings": [],
        }  # fmt: skip
        try:
            kind = plugins.load(plugin.name)
        except PluginError as error:
            entry |= {"status": "failed", "problem": error.detail}
        else:
            entry |= {"title": kind.title, "settings": _settings(kind.config_model), "quality": _quality(kind)}
            entry["capabilities"] = capabilities(kind)
        found.append(entry)
    if json:
        output.print_json({"items": found, "next_cursor": None})
        return
    rows = [{**each, "required": [s["name"] for s in each["settings"] if s["required"]]} for each in found]
    output.print_table(rows, COLUMNS)
    for each in found:
        if each["problem"]:
            output.hint(f"plugin_unusable: {each['problem']}")


@command(
    app, "check", "connector check nomod", "connector check acme --rule lost-answer", "connector check acme --json"
)
def check(
    name: Annotated[str, typer.Argument(help="The connector's name.")],
    *,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only this rule; repeat it for several.")] = None,
    json: Json = False,
) -> None:
    """Prove a connector against its own simulated service, rule by rule of the quality scale.

    Nothing leaves this machine, and no database is used. Exit code 1 when a rule does not hold that the connector's
    quality.toml calls done. The rules are explained in docs/connector-quality.md.
    """
    from connectors.testing.quality import QualityError, quality_of
    from connectors.testing.rules import ALL_RULES
    from connectors.testing.runner import run
    from gateway.conformance import ENGINE, load_harness
    from gateway.errors import PluginError

    load_settings()
    strange = [each for each in rule or [] if each not in ALL_RULES]
    if strange:
        wrong_usage(f"--rule: there is no rule {strange[0]}; there are: {', '.join(ALL_RULES)}")
    harness = load_harness(name)
    try:
        quality = quality_of(harness.connector)
    except QualityError as error:
        raise PluginError(str(error)) from None
    told = _Telling() if not json else None
    report = asyncio.run(run(harness, ENGINE, quality, only=rule or (), told=told))
    if json:
        output.print_json(_document(name, report, whole=not rule))
    else:
        _summary(name, report, whole=not rule)
    if report.broken:
        raise typer.Exit(1)


@command(app, "new", "connector new acme", "connector new tithe_box --kind source --directory ~/src")
def new(
    name: Annotated[str, typer.Argument(help="Its name in settings: a-z, 0-9 and _, beginning with a letter.")],
    *,
    kind: Annotated[str, typer.Option("--kind", help="`connector`, or `source` for a billing platform.")] = "connector",
    directory: Annotated[Path, typer.Option("--directory", help="Where the project's directory is made.")] = Path(),
    json: Json = False,
) -> None:
    """Write a project for a new plugin: code, simulator, tests and docs that pass as they are.

    The directory is `ledgergate-NAME`; nothing that is there is ever changed. docs/connectors.md leads on from here.
    """
    from gateway.scaffold import Kind, new_project

    load_settings()
    if kind not in {each.value for each in Kind}:
        wrong_usage(f"--kind: {kind!r} is none of {', '.join(each.value for each in Kind)}")
    project = new_project(name, kind=Kind(kind), parent=directory)
    files = [str(path.relative_to(project.directory)) for path in project.files]
    if json:
        output.print_json({"directory": str(project.directory), "files": files})
        return
    for path in files:
        output.line(f"{project.directory / path}")
    output.hint(f"Next: cd {project.directory}; pip install --editable '.[testing]'; pytest")


class _Telling:
    """Prints results as they come, under the heading of their tier."""

    def __init__(self) -> None:
        self._tier = ""

    def __call__(self, result: "Result") -> None:
        if result.tier != self._tier:
            self._tier = result.tier
            output.line(f"{result.tier}")
        output.line(f"  {WORDS[result.status]:<7} {result.rule:<24} {result.title}")
        if result.detail:
            output.line(f"  {'':<7} {'':<24} {output.cell(result.detail)}")
        output.flush()


def _summary(name: str, report: "Report", *, whole: bool) -> None:
    counted = {word: sum(WORDS[each.status] == word for each in report.results) for word in WORDS.values()}
    output.line("")
    output.line(", ".join(f"{count} {word}" for word, count in counted.items() if count))
    if not whole:
        return
    tier = report.tier or "none"
    claimed = "" if report.tier is report.claimed else f", where quality.toml says {report.claimed or 'none'}"
    output.line(f"{name}: quality {tier}{claimed}")


def _document(name: str, report: "Report", *, whole: bool) -> dict[str, Any]:
    results = [
        {"rule": each.rule, "tier": each.tier, "title": each.title, "status": each.status, "detail": each.detail,
         "seconds": each.seconds}
        for each in report.results
    ]  # fmt: skip
    tiers = {"tier": report.tier, "claimed": report.claimed} if whole else {}
    return {"connector": name, **tiers, "broken": len(report.broken), "rules": results}


def _quality(kind: "type[Connector[Any]]") -> str | None:
    """Return the tier that the connector's quality file comes to, None where there is no usable one."""
    from connectors.testing.quality import QualityError, quality_of

    try:
        return quality_of(kind).tier
    except QualityError:
        return None


def _settings(model: Any) -> list[dict[str, Any]]:
    from gateway.configuration.rows import secret_fields

    hidden = secret_fields(model)
    return [
        {"name": name, "required": field.is_required(), "secret": name in hidden, "description": field.description}
        for name, field in model.model_fields.items()
    ]
