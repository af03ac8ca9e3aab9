"""The rule about text: names as people write them come back, or are refused in words; none makes a second record."""

import unicodedata

from connectors.errors import ConnectorError, RejectedError
from connectors.models import Customer
from connectors.testing.bench import Bench
from connectors.testing.engine import End
from connectors.testing.rulebook import Kit, Tier, require, rule

TEXTS = (
    "Seán O'Brien & Sons",
    "\u201cCurly\u201d \u2018Quotes\u2019 Ltd",
    'Back\\slash "Double"',
    "Zoë Ångström-Núñez",
    "Zoe\u0308 A\u030angstro\u0308m",
    "李小龍 有限公司",
    "مؤسسة الأمل للتجارة",
    "שלום בע״מ",
    "Fox 🦊 and Family 👩‍👩‍👧",
    "Parent: Child: Grandchild",
    "  padded   with \t blanks  ",
    "100% _like_ [x] *?",
    "<b>Bold</b> & </script>",
    "x'; DROP TABLE customers; --",
    "soft\u00adhyphen \u202eand marks\u202c",
    "ﬁne ½ ligatures Ⅷ",
    "0",
    "null",
    "L" + "ong " * 100 + "Name",
)
EMAILS = ("o'brien+tag@example.com", "UPPER.lower@Example.COM", "a@b.example", "müller@exämple.de", "not an address")
_INVISIBLE = {"Cc", "Cf", "Cs"}
SHORTEST = 15
"""A name may be cut to no fewer characters, and the warnings must say so."""


@rule("text-torture", Tier.GOLD, "Names as people write them come back, or are refused in words")
async def text_torture(kit: Kit) -> None:
    """Create customers with awkward names and addresses, compare what was kept, and find them again."""
    async with kit.bench() as bench:
        made: dict[int, str] = {}
        cases = [(name, None) for name in TEXTS] + [(f"Plain Person {n}", email) for n, email in enumerate(EMAILS)]
        for number, (name, email) in enumerate(cases, start=1):
            record = await _create(bench, number, name, email)
            if record is not None:
                made[number] = record
        before = bench.ids()
        async with kit.gateway(bench) as gateway:
            for number, record in made.items():
                name, email = cases[number - 1]
                outcome = (await gateway.ensure([_customer(bench, number, name, email)]))[0]
                require(
                    outcome.end is End.LINKED and outcome.record == record and bench.ids() == before,
                    f"a customer named {name!r}{f' with the address {email!r}' if email else ''} was created, and not "
                    f"found again; {outcome.words}",
                )


def _customer(bench: Bench, number: int, name: str, email: str | None) -> Customer:
    return bench.customer(number, name=name, **({} if email is None else {"email": email}))


async def _create(bench: Bench, number: int, name: str, email: str | None) -> str | None:
    """Create a customer and compare; return the record's id, None for a clear refusal."""
    customer, connector = _customer(bench, number, name, email), bench.connector()
    try:
        connector.validate_customer(customer)
        created = await connector.create_customer(customer, intent=bench.intent(number))
    except RejectedError as error:
        require(error.detail, f"a customer named {name!r} was refused without a word: say in `detail` what is wrong")
        return None
    except ConnectorError as error:
        require(
            condition=False,
            message=f"a customer named {name!r} ended in {type(error).__name__}: create it, or refuse it in "
            "validate_customer with a kind of RejectedError",
        )
        return None
    record = bench.record(created.provider_entity_id)
    require(record is not None, f"create_customer returned the id {created.provider_entity_id!r}, which nobody has")
    kept = _folded(record.name if record is not None else "", bench.harness.ignorable)
    sent = _folded(name, bench.harness.ignorable)
    shortened = len(kept) >= SHORTEST and sent.startswith(kept.rstrip()) and bool(created.warnings)
    require(
        kept == sent or shortened,
        f"the name {name!r} came back as {record.name if record is not None else ''!r}"
        + (", and no warning says that it was cut" if sent.startswith(kept) and kept else ""),
    )
    return created.provider_entity_id


def _folded(text: str, ignorable: str) -> str:
    """Return what must survive of a name: letters and signs in order; blanks and invisible characters need not."""
    visible = "".join(
        " " if character in ignorable or character.isspace() else character
        for character in unicodedata.normalize("NFC", text)
        if character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    return unicodedata.normalize("NFC", " ".join(visible.split()))


RULES = (text_torture,)
