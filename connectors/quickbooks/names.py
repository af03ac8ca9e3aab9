"""What a customer is called in QuickBooks: cleaned names, the names tried in turn, and a usable e-mail address.

Pure: the same customer gives the same names for ever, since a retry must send the same bytes.
Limits and forbidden characters:
https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/customer
"""

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass, field

from connectors.errors import InvalidEmailError, MissingFieldsError
from connectors.models import Customer

NAME_LIMIT = 100
"""Of GivenName, FamilyName, CompanyName and PrimaryEmailAddr. DisplayName may have 500 today, had 100 for years, and
is kept to that: other programs that read the company assume it."""
EMAIL_LIMIT = 100
VARIANTS = 3
DELETED = " (deleted)"
"""What QuickBooks writes behind the names of inactive records: on its pages always, in what is stored sometimes."""

# Format characters: zero width, bidi marks, soft hyphens. Surrogates and controls are no text at all.
_DROPPED = frozenset({"Cc", "Cf", "Cs"})
_SPACES = frozenset({"Zs", "Zl", "Zp"})
_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
_EMAIL = re.compile(r"""[^\s@,;:<>()\[\]"\\]+@[^\s@,;:<>()\[\]"\\.]+(\.[^\s@,;:<>()\[\]"\\.]+)+""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of one customer, clean and within limits. Its `repr` shows none."""

    base: str = field(repr=False)
    given: str = field(default="", repr=False)
    family: str = field(default="", repr=False)
    company: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    tag: str = ""
    warnings: tuple[str, ...] = ()

    def display(self, variant: int = 0) -> str:
        """Return the DisplayName of a variant: 0 the name, 1 "(customer)", 2 "(customer tag)" with the customer's tag.

        A counter instead of the tag would depend on what exists at that moment, so that a retry might pick another.
        """
        suffix = ("", " (customer)", f" (customer {self.tag})")[variant]
        return shorten(self.base, NAME_LIMIT - len(suffix)) + suffix

    @property
    def stem(self) -> str:
        """What the DisplayNames of all variants begin with."""
        return shorten(self.base, NAME_LIMIT - len(f" (customer {self.tag})"))

    def displays(self) -> tuple[str, ...]:
        """Return the DisplayNames of all variants."""
        return tuple(self.display(variant) for variant in range(VARIANTS))


def names_of(customer: Customer) -> Names:
    """Return what to call a customer, by the rules of the product's specification.

    `GivenName` is the first name, else the last name, else the e-mail address; `FamilyName` the last name, else absent.
    Where the source has only a whole name, nothing splits it: it is the DisplayName, and `GivenName`, unless the source
    says that it is a company's. Raises MissingFieldsError when there is neither a name nor an e-mail address, and
    InvalidEmailError when all there is is an address that is none.
    """
    first, last, whole, company = (
        clean(text) for text in (customer.given_name, customer.family_name, customer.name, customer.company_name)
    )
    email = usable_email(customer.email)
    parts = " ".join(part for part in (first, last) if part)
    base = parts or whole or company or clean(email)
    if not base:
        if customer.email.strip():
            raise InvalidEmailError("the e-mail address is not valid, and there is no name")
        raise MissingFieldsError("at least one of first name, last name, name and e-mail address is needed")
    if parts:
        given = first or last
    elif company and same_name(company, whole or company):
        given = ""
    else:
        given = base
    warnings = []
    if customer.email.strip() and not email:
        warnings.append("e-mail address omitted: not a valid address")
    shortened = [label for label, text in (("name", base), ("company name", company)) if _units(text) > NAME_LIMIT]
    warnings += [f"{label} shortened to {NAME_LIMIT} characters" for label in shortened]
    return Names(
        base=base,
        given=shorten(given, NAME_LIMIT),
        family=shorten(last, NAME_LIMIT) if parts else "",
        company=shorten(company, NAME_LIMIT),
        email=email,
        tag=tag_of(customer),
        warnings=tuple(warnings),
    )


def tag_of(customer: Customer) -> str:
    """Return eight characters which tell this customer from its namesakes, the same on every machine and for ever."""
    digest = hashlib.sha256(f"{customer.source}|{customer.customer_id}".encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest)[:8].decode().lower()


def clean(text: str, *, colons: bool = False) -> str:
    """Return text as QuickBooks can hold it in a name: NFC, one space for any run of blanks, no invisible characters.

    A colon parts parent and child in QuickBooks and is forbidden in names (error 2040): it becomes a space, unless
    `colons` are kept, as in addresses. Nothing left means absent.
    """
    out = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if category in _SPACES or character in _BREAKS or (character == ":" and not colons):
            out.append(" ")
        elif category not in _DROPPED:
            out.append(character)
    # What was dropped may have kept a letter and its accent apart.
    return " ".join(unicodedata.normalize("NFC", "".join(out)).split())


def shorten(text: str, limit: int) -> str:
    """Cut text to `limit` UTF-16 units, between words where that costs less than half, and never inside a character."""
    if _units(text) <= limit:
        return text
    kept, units = 0, 0
    for kept, character in enumerate(text):  # noqa: B007 - the index is what is wanted
        units += _units(character)
        if units > limit:
            break
    space = text.rfind(" ", 0, kept + 1)
    if space > kept // 2:
        return text[:space].rstrip()
    while kept > 0 and _continues(text[kept]):
        kept -= 1
    return text[:kept].rstrip()


def _units(text: str) -> int:
    """The length as QuickBooks' own servers count it: characters beyond the basic plane are two."""
    return len(text) + sum(character > "\uffff" for character in text)


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before: accents, vowel signs, variation selectors, skin tones."""
    return unicodedata.category(character).startswith("M") or "\U0001f3fb" <= character <= "\U0001f3ff"


def usable_email(text: str) -> str:
    """Return the address as QuickBooks takes it, else nothing: a bad address must not keep a customer out (2210)."""
    email = unicodedata.normalize("NFC", text.strip())
    invisible = any(unicodedata.category(character) in _DROPPED | _SPACES for character in email)
    good = _EMAIL.fullmatch(email) is not None and not invisible and _units(email) <= EMAIL_LIMIT
    return email if good else ""


def key_of(name: str) -> str:
    """Return what two names have in common when QuickBooks takes them for the same: case and blanks do not count."""
    return unicodedata.normalize("NFC", clean(name).casefold())


def same_name(one: str, other: str) -> bool:
    """Whether QuickBooks takes two names for the same."""
    return key_of(one) == key_of(other)


def garbled(name: str) -> str:
    """Return a name as companies in the United States were seen to store it: "?" for each letter beyond Latin-1."""
    return "".join(character if character <= "\xff" else "?" for character in name)


def without_deleted(name: str) -> str:
    """Return the name of an inactive record without QuickBooks' own addition."""
    return name.removesuffix(DELETED)
