"""The page about Nomod: every setting and its default is in it."""

import re
from enum import StrEnum
from pathlib import Path

import orjson

from connectors.nomod import NomodConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs/nomod.md").read_text(encoding="utf-8")


def test_every_setting_of_a_nomod_connection_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S.*?) \|", PAGE[: PAGE.index("## What is read")], re.MULTILINE))
    expected = {}
    for name, field in NomodConfig.model_fields.items():
        default = field.default
        if field.is_required():
            expected[name] = "required"
        elif isinstance(default, str):
            expected[name] = f"`{default.value if isinstance(default, StrEnum) else default}`"
        else:
            plain = [int(step) for step in default] if isinstance(default, tuple) else default
            text = orjson.dumps(int(plain) if isinstance(plain, float) else plain).decode()
            expected[name] = f"`{text.replace(',', ', ')}`"
    assert rows == expected
