"""Writes the tables of docs/configuration.md from the fields of settings and specs; `--check`: is it current?"""

from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.configuration.channels import ChannelSpec
from gateway.configuration.specs import ConnectionSpec, InvoiceSync, SourceSpec
from gateway.settings import PREFIX, Settings
from gateway.sources.base import PollConfig
from tools import marked

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
SPECS: dict[str, type[BaseModel]] = {
    "sources": SourceSpec, "poll": PollConfig, "connections": ConnectionSpec, "invoice_sync": InvoiceSync,
    "channels": ChannelSpec,
}  # fmt: skip


def parts() -> dict[str, str]:
    """Return the made parts of the page, by name."""
    told = {"settings": table(Settings, prefix=PREFIX)}
    return told | {name: table(model) for name, model in SPECS.items()}


def table(model: type[BaseModel], *, prefix: str = "") -> str:
    """Return the fields of a model as a table."""
    rows = [_row(prefix + (name.upper() if prefix else name), field) for name, field in model.model_fields.items()]
    return "\n".join(["| name | default | meaning |", "|---|---|---|", *rows])


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | {_default(field)} | {' '.join((field.description or '').split())} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value: Any = field.default if field.default_factory is None else None
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, tuple):
        told = ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
        return f"`{told}`" if told else "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def main() -> int:
    """Write the page, or check it."""
    return marked.run(PAGE, parts())


if __name__ == "__main__":
    raise SystemExit(main())
