"""A form from a pydantic model: a field for each setting of a connector or a source, and the settings back from it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.configuration.rows import secret_fields

MAX_VALUE = 4000
_ACRONYMS = {"api": "API", "url": "URL", "id": "ID", "oauth": "OAuth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. `kind` is text, password, number, checkbox or select; `value` is never a secret's."""

    name: str
    input: str
    """The name in the form, which begins with what the settings belong to: `config.api_key`."""
    label: str
    kind: str
    description: str
    required: bool
    value: str
    default: str
    options: tuple[str, ...] = ()
    stored: bool = False
    """A secret that is stored: left empty, it stays."""


def fields_of(
    model: type[BaseModel], prefix: str, *, values: Mapping[str, Any] | None = None, stored: Collection[str] = ()
) -> list[Field]:
    """Return the fields in the model's order. `values` are what is set, `stored` the secrets that are there."""
    hidden = secret_fields(model)
    return [
        _field(name, info, prefix=prefix, secret=name in hidden, value=(values or {}).get(name), stored=name in stored)
        for name, info in model.model_fields.items()
    ]


def settings_from(model: type[BaseModel], prefix: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that differ from the model's defaults; the model itself checks them when they are stored."""
    config: dict[str, Any] = {}
    for field in fields_of(model, prefix):
        text = form.get(field.input, "").strip()[:MAX_VALUE]
        if field.kind == "checkbox":
            ticked = bool(text)
            if ticked != (field.default == "yes"):
                config[field.name] = ticked
        elif text and text != field.default:
            is_list = get_origin(model.model_fields[field.name].annotation) is tuple
            config[field.name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
    return config


def filled_in(fields: list[Field], form: Mapping[str, str]) -> list[Field]:
    """Return the fields with what was filled in, for a form that is shown again. Secrets are left out."""
    return [
        field if field.kind == "password" else replace(field, value=form.get(field.input, "")[:MAX_VALUE])
        for field in fields
    ]


def _field(name: str, info: FieldInfo, *, prefix: str, secret: bool, value: Any, stored: bool) -> Field:
    default = (
        "" if info.is_required() or secret else _text(info.get_default(call_default_factory=True, validated_data={}))
    )
    kind, options = ("password", ()) if secret else _kind(info.annotation)
    return Field(
        name=name, input=prefix + name, label=label_of(name), kind=kind, options=options,
        description=_sentence(info.description or ""), required=info.is_required() and not stored, default=default,
        stored=stored, value="" if secret else (_text(value) if value is not None else default),
    )  # fmt: skip


def _kind(annotation: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(annotation, type):
        if issubclass(annotation, bool):
            return "checkbox", ()
        if issubclass(annotation, StrEnum):
            return "select", tuple(annotation)
        if issubclass(annotation, int | float):
            return "number", ()
    inner = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is not tuple and len(inner) == 1 and len(get_args(annotation)) == 2:
        return _kind(inner[0])
    return "text", ()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} = {_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def label_of(name: str) -> str:
    """Return a setting's name for people."""
    words = [_ACRONYMS.get(word, word) for word in name.split("_")]
    return words[0][:1].upper() + words[0][1:] + "".join(f" {word}" for word in words[1:])
