"""Settings as a person writes them on the command line: KEY=VALUE, and secrets only by reference."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli.given import read_stdin, referenced
from gateway.cli.options import wrong_usage

if TYPE_CHECKING:
    from pydantic import BaseModel


def read_config(connector: str, pairs: Sequence[str], *, from_stdin: bool) -> dict[str, Any]:
    """Return a connector's config. `from_stdin` fills its required secret that no pair names.

    Wrong usage for a secret in the arguments; raises PluginError, ConfigFileError.
    """
    from gateway.configuration.rows import secret_fields
    from gateway.plugins import connector_plugins

    model = connector_plugins().load(connector).config_model
    config = read_pairs(model, pairs, option="--config")
    if from_stdin:
        hidden = secret_fields(model)
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


def read_options(platform: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Return the options of a source. Otherwise as `read_pairs`; raises PluginError."""
    from gateway.plugins import source_plugins

    return read_pairs(source_plugins().load(platform).options_model, pairs, option="--option") if pairs else {}


def read_poll(pairs: Sequence[str]) -> dict[str, Any] | None:
    """Return how a source polls, None where it does not. Otherwise as `read_pairs`."""
    from gateway.sources.base import PollConfig

    return read_pairs(PollConfig, pairs, option="--poll") if pairs else None


def read_pairs(model: "type[BaseModel]", pairs: Sequence[str], *, option: str) -> dict[str, Any]:
    """Return the settings that stand in the pairs. Values that are JSON are taken as such, others as text.

    Wrong usage for a secret in the arguments; raises ConfigFileError for a reference that leads nowhere.
    """
    from gateway.configuration.rows import secret_fields

    hidden = secret_fields(model)
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark or not key:
            wrong_usage(f"{option}: write KEY=VALUE")
        if key in settings:
            wrong_usage(f"{option}: {key} stands twice")
        settings[key] = referenced(value, option=f"{option} {key}") if key in hidden else _value(value)
    return settings


def _value(text: str) -> Any:
    import orjson

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    # Ids of digits only are text in every config; numbers are read from text as well.
    return text if isinstance(value, int | float) and not isinstance(value, bool) else value
