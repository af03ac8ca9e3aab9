"""A connector's config as a person writes it on the command line: KEY=VALUE, and secrets only by reference."""

from collections.abc import Sequence
from typing import Any

from gateway.cli.given import read_stdin, referenced
from gateway.cli.options import wrong_usage


def read_config(connector: str, pairs: Sequence[str], *, from_stdin: bool) -> dict[str, Any]:
    """Return the config. Values that are JSON are taken as such, others as text.

    `from_stdin` fills the connector's required secret that no pair names. Wrong usage for a secret in the arguments;
    raises PluginError, ConfigFileError.
    """
    from gateway.configuration.rows import secret_fields
    from gateway.plugins import connector_plugins

    model = connector_plugins().load(connector).config_model
    hidden = secret_fields(model)
    config: dict[str, Any] = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark or not key:
            wrong_usage("--config: write KEY=VALUE")
        if key in config:
            wrong_usage(f"--config: {key} stands twice")
        config[key] = referenced(value, option=f"--config {key}") if key in hidden else _value(value)
    if from_stdin:
        open_ones = [
            name for name, field in model.model_fields.items()
            if name in hidden and field.is_required() and name not in config
        ]  # fmt: skip
        if len(open_ones) != 1:
            told = (
                "no required secret that is not given" if not open_ones else f"several secrets: {', '.join(open_ones)}"
            )
            wrong_usage(f"--secret-stdin: connector {connector} has {told}")
        config[open_ones[0]] = read_stdin()
    return config


def _value(text: str) -> Any:
    import orjson

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    # Ids of digits only are text in every config; numbers are read from text as well.
    return text if isinstance(value, int | float) and not isinstance(value, bool) else value
