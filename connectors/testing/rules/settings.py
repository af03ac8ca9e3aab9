"""Rules about a connector's config and package: strict, described, still loadable, typed."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from connectors.testing.rulebook import Kit, RuleBroken, Tier, require, rule
from connectors.testing.sources import directory_of

_LOOKS_SECRET = re.compile(r"(?:^|_)(?:secret|password|passphrase|api_key|apikey|private_key|token)$")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
CANARY = "kanarienvogel-8118"


@rule("strict-config", Tier.BRONZE, "The config refuses what it does not know, and hides its secrets")
async def strict_config(kit: Kit) -> None:
    """Load the config with an unknown key and with wrong values, and show it."""
    async with kit.bench() as bench:
        model = bench.kind.config_model
        _loads(model, bench.config, "the harness's config")
        error = _refused(model, {**bench.config, "no_such_setting": CANARY})
        require(error is not None, "an unknown key in the config is not refused: leave extra='forbid' as it is")
        require(model.model_config.get("frozen") is True, "the config can be changed: leave frozen=True as it is")
        for name, field in model.model_fields.items():
            secret = _is_secret(field.annotation)
            require(
                secret or not _LOOKS_SECRET.search(name),
                f"the setting {name} looks like a secret and is not a SecretStr: it would be stored and shown in plain",
            )
            for wrong in ([CANARY], {CANARY: CANARY}):
                refused = _refused(model, {**bench.config, name: wrong})
                require(
                    refused is None or CANARY not in str(refused),
                    f"the error about a wrong value of {name} quotes the value: leave hide_input_in_errors as it is",
                )


@rule("describes-settings", Tier.GOLD, "Name, title and every setting are described")
async def describes_settings(kit: Kit) -> None:
    """Read the config model as the console's form and the docs do."""
    async with kit.bench() as bench:
        model, kind = bench.kind.config_model, bench.kind
        require(_NAME.fullmatch(kind.name), f"name is {kind.name!r}: use a-z, 0-9 and _, beginning with a letter")
        require(kind.title.strip(), "title is empty")
        bare = [name for name, field in model.model_fields.items() if not (field.description or "").strip()]
        require(not bare, f"settings without a description: {', '.join(bare)}")
        require(model.model_json_schema().get("properties"), "the config model has no settings to make a form of")


@rule("older-config", Tier.GOLD, "Configs that were saved by older versions load")
async def older_config(kit: Kit) -> None:
    """Load every config of the harness's `older_configs`, and the one of today as the gateway stores it."""
    async with kit.bench() as bench:
        model, older = bench.kind.config_model, bench.harness.older_configs
        require(older, "the harness's `older_configs` is empty: put in what the first version was configured with")
        for number, config in enumerate(older, start=1):
            _loads(model, config, f"older config {number}")
        parsed = bench.parsed()
        stored = parsed.model_dump(mode="json", include=set(bench.config))
        secrets = {
            name: value.get_secret_value()
            for name in bench.config
            if isinstance(value := getattr(parsed, name), SecretStr)
        }
        again = _loads(model, {**stored, **secrets}, "the config as the gateway stores it")
        require(again == parsed, "the config is another one after it was stored and loaded")


@rule("typed", Tier.GOLD, "The package is typed, and says so")
async def typed(kit: Kit) -> None:
    """Look for py.typed."""
    async with kit.bench() as bench:
        top = bench.kind.__module__.partition(".")[0]
        directory = directory_of(top)
        require(
            directory is not None and (directory / "py.typed").is_file(),
            f"the package {top} has no py.typed: check it with `mypy --strict`, then put the empty file in",
        )


def _loads(model: type[BaseModel], config: Mapping[str, Any], words: str) -> BaseModel:
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        places = ", ".join(".".join(map(str, found["loc"])) for found in error.errors(include_input=False))
        raise RuleBroken(f"{words} does not load ({places})") from None


def _refused(model: type[BaseModel], config: Mapping[str, Any]) -> ValidationError | None:
    try:
        model.model_validate(dict(config))
    except ValidationError as error:
        return error
    return None


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in getattr(annotation, "__args__", ()))


RULES = (strict_config, describes_settings, older_config, typed)
