"""What a provider says about a customer, without the customer: personal data is taken out of error texts."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 300
HIDDEN = "…"

_EMAIL = re.compile(r"[^\s@:;,<>\"']*@[^\s@:;,<>\"']*")
_LONG_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»")
_WORD = re.compile(r"\w+")


def scrub(text: str, private: Iterable[str]) -> str:
    """Return a text without the values of `private`, nor any word of them, nor what looks like an address or a number.

    What is quoted goes as well: an error quotes what was sent. At most 300 characters are kept.
    """
    values = sorted({value.strip() for value in private if len(value.strip()) > 1}, key=len, reverse=True)
    for value in values:
        text = re.sub(re.escape(value), HIDDEN, text, flags=re.IGNORECASE)
    words = {word.casefold() for value in values for word in _WORD.findall(value) if len(word) > 1}
    for pattern in (_EMAIL, _QUOTED, _LONG_NUMBER):
        text = pattern.sub(HIDDEN, text)
    text = _WORD.sub(lambda found: HIDDEN if found[0].casefold() in words else found[0], text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + HIDDEN


def texts_in(body: Any) -> list[str]:
    """Return every text value of a request's body, however deep."""
    if isinstance(body, str):
        return [body]
    if isinstance(body, Mapping):
        return [text for value in body.values() for text in texts_in(value)]
    if isinstance(body, list):
        return [text for value in body for text in texts_in(value)]
    return []
