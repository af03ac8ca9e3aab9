"""A whole configuration file: sources, connections and channels in TOML, each name once."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import model_validator

from gateway.configuration.channels import ChannelSpec
from gateway.configuration.specs import ConnectionSpec, SourceSpec, Spec, parse_spec
from gateway.errors import ConfigFileError


class File(Spec):
    """A whole configuration file."""

    sources: tuple[SourceSpec, ...] = ()
    connections: tuple[ConnectionSpec, ...] = ()
    channels: tuple[ChannelSpec, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> "File":
        for kind, names in (
            ("source", [source.name for source in self.sources]),
            ("connection", [connection.name for connection in self.connections]),
            ("channel", [channel.name for channel in self.channels]),
        ):
            for name in names:
                if names.count(name) > 1:
                    msg = f"{kind} {name!r} stands twice"
                    raise ValueError(msg)
        return self


def read_file(path: Path, resolve: Any) -> File:
    """Read a TOML file; `resolve` replaces references to secrets by their values. Raises ConfigFileError."""
    try:
        raw = resolve(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror}"
        raise ConfigFileError(msg) from None
    except (ValueError, RecursionError) as error:  # bytes that are no text, numbers too long, tables too deep
        told = error if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        msg = f"{path.name}: {told}"
        raise ConfigFileError(msg) from None
    return parse_spec(File, raw, where=path.name)
