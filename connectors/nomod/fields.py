"""Text, e-mail and phone as Nomod takes them: cleaned, cut, checked. Pure."""

import re
import unicodedata
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from connectors.errors import InvalidEmailError

LONGEST_PHONE = 15
"""Characters, the `+` included, so that a number of 15 digits does not fit.

https://www.nomod.com/docs/api-reference/create-contact"""

_COUNTRY = re.compile(r"[A-Za-z]{2}")
_LENIENT_DOMAINS = frozenset({"test", "example", "invalid", "local"})
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"


def clean(text: str) -> str:
    """Return text that JSON, Django and PostgreSQL all take: no control characters, no lone surrogates, single blanks.

    Text without anything visible counts as empty.
    """
    if text.isascii() and text.isprintable():  # as nearly all text is, and nothing of it is to be taken out
        return " ".join(text.split())
    kept = "".join(" " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter for letter in text)
    kept = "".join(letter for letter in kept if unicodedata.category(letter) not in {"Cs", "Co", "Cn"})
    kept = " ".join(kept.split())
    return kept if any(unicodedata.category(letter)[0] not in "CZM" for letter in kept) else ""


def cut(text: str, limit: int) -> str:
    """Return clean text of at most `limit` characters: whole words if that leaves half of it, never half a letter."""
    if len(text) <= limit:
        return text
    end = limit
    space = text.rfind(" ", 0, limit + 1)
    if space >= limit // 2:
        end = space
    else:
        while end > limit // 2 and _continues(text, end):
            end -= 1
    return text[:end].rstrip()


def _continues(text: str, index: int) -> bool:
    """Whether the character at `index` belongs to the letter before it: an accent, or part of a joined emoji."""
    return unicodedata.category(text[index])[0] == "M" or text[index] in _JOINERS or text[index - 1] in _JOINERS


def email_key(text: str) -> str:
    """Return the form in which two e-mail addresses are compared."""
    return unicodedata.normalize("NFC", text.strip()).casefold()


@lru_cache(maxsize=256)  # one job asks several times
def checked_email(text: str) -> str:
    """Return the address as the source has it, without blanks around it. Raises InvalidEmailError; asks no DNS.

    Syntax is strict. Domains kept for tests and private networks pass, so that sandboxes work.
    """
    address = text.strip()
    local, _, domain = address.rpartition("@")
    first, _, last = domain.rpartition(".")
    checked = f"{local}@{first}.com" if first and last.casefold() in _LENIENT_DOMAINS else address
    try:
        validate_email(checked, check_deliverability=False, strict=True)
    except (EmailNotValidError, UnicodeError) as error:  # lone surrogates break its IDNA step
        reason = type(error).__name__  # its text quotes the address
        raise InvalidEmailError(f"the e-mail address is not well-formed ({reason})") from None
    return address


def country_code(text: str) -> str:
    """Return ISO 3166-1 alpha-2 in capitals, or nothing: names are not guessed at."""
    code = text.strip()
    return code.upper() if _COUNTRY.fullmatch(code) else ""


def phone_number(text: str, country: str) -> tuple[str, str]:
    """Return the number in E.164 and a warning, either of them empty. What is not certainly a number is left out."""
    number = clean(text)
    if not number:
        return "", ""
    region = country if country in phonenumbers.SUPPORTED_REGIONS else None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        local = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and region is None
        if local and not number.startswith(("+", "\uff0b")):
            return "", "phone omitted: it has no country code, and there is no country to read it by"
        return "", "phone omitted: not a phone number"
    if not phonenumbers.is_valid_number(parsed):
        return "", "phone omitted: not a valid number"
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if len(written) > LONGEST_PHONE:
        return "", f"phone omitted: longer than {LONGEST_PHONE} characters"
    return written, "phone sent without its extension" if parsed.extension else ""
