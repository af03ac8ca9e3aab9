"""`connector`: the kinds of systems that can be connected."""

from typing import Any

from gateway.cli import output
from gateway.cli.opened import load_settings
from gateway.cli.options import Json, command, noun

app = noun("Connectors: the kinds of systems that can be connected.")

COLUMNS = {
    "name": "name", "title": "title", "version": "version", "distribution": "distribution", "status": "status",
    "required settings": "required",
}  # fmt: skip


@command(app, "list", "connector list", "connector list --json")
def list_(*, json: Json = False) -> None:
    """List the connectors installed, with the settings of each, and why one cannot be used."""
    from gateway.errors import PluginError
    from gateway.plugins import connector_plugins

    load_settings()
    plugins = connector_plugins()
    found: list[dict[str, Any]] = []
    for plugin in plugins.found():
        entry: dict[str, Any] = {
            "name": plugin.name, "title": None, "distribution": plugin.distribution, "version": plugin.version,
            "status": "ok", "problem": None, "settings": [],
        }  # fmt: skip
        try:
            kind = plugins.load(plugin.name)
        except PluginError as error:
            entry |= {"status": "failed", "problem": error.detail}
        else:
            entry |= {"title": kind.title, "settings": _settings(kind.config_model)}
        found.append(entry)
    if json:
        output.print_json({"items": found, "next_cursor": None})
        return
    rows = [{**each, "required": [s["name"] for s in each["settings"] if s["required"]]} for each in found]
    output.print_table(rows, COLUMNS)
    for each in found:
        if each["problem"]:
            output.hint(f"plugin_unusable: {each['problem']}")


def _settings(model: Any) -> list[dict[str, Any]]:
    from gateway.configuration.rows import secret_fields

    hidden = secret_fields(model)
    return [
        {"name": name, "required": field.is_required(), "secret": name in hidden, "description": field.description}
        for name, field in model.model_fields.items()
    ]
