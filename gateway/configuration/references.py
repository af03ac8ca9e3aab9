"""References to secrets in files and commands: `env:NAME` and `file:PATH`. Never resolved for the API."""

import os
from pathlib import Path
from typing import Any

from gateway.errors import ConfigFileError

MAX_FILE_BYTES = 64 * 1024


def resolve(value: str, *, where: str = "") -> str:
    """Return what a reference stands for; other text as it is. Raises ConfigFileError that names the reference."""
    place = f"{where}: " if where else ""
    if value.startswith("env:"):
        name = value.removeprefix("env:")
        found = os.environ.get(name)
        if not found:
            msg = f"{place}environment variable {name} is not set"
            raise ConfigFileError(msg)
        return found.strip()
    if value.startswith("file:"):
        path = Path(value.removeprefix("file:"))
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            text = content.decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{place}file {path.name} cannot be read: {type(error).__name__}"
            raise ConfigFileError(msg) from None
        if not text or len(content) > MAX_FILE_BYTES:
            msg = f"{place}file {path.name} is empty or too large"
            raise ConfigFileError(msg)
        return text
    return value


def resolve_all(value: Any, where: str = "") -> Any:
    """Return nested values with every reference resolved."""
    if isinstance(value, str):
        return resolve(value, where=where)
    if isinstance(value, dict):
        return {key: resolve_all(item, f"{where}.{key}" if where else key) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve_all(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return value
