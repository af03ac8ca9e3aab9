"""Whatever a source says of a customer: what is sent to Nomod fits, and tells nothing that was left out."""

import re
import unicodedata

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from connectors import Address, InvalidEmailError, MissingFieldsError
from connectors.nomod.customers import draft
from connectors.nomod.fields import clean, cut, email_key
from tests.unit.nomod_customer_setup import STARTED, customer

LIMITS = {
    "first_name": 150, "last_name": 150, "email": 254, "phone_number": 15, "business_name": 50, "job_title": 50,
    "country": 2, "province": 36, "street": 100, "city": 100, "zip_code": 16,
}  # fmt: skip
ANYTHING = st.text(st.characters(), max_size=200)

TEXTS = dict.fromkeys(
    ("customer_id", "name", "given_name", "family_name", "company_name", "phone", "environment_id"), ANYTHING
)
ADDRESSES = st.none() | st.builds(
    Address,
    line1=ANYTHING,
    line2=ANYTHING,
    city=ANYTHING,
    region=ANYTHING,
    postal_code=ANYTHING,
    country=ANYTHING | st.sampled_from(["AE", "us", "DE"]),
)
EMAILS = st.just("mona@example.com") | ANYTHING | st.emails()


@given(texts=st.fixed_dictionaries(TEXTS), email=EMAILS, address=ADDRESSES, marker=st.booleans())
@example(
    texts={**dict.fromkeys(TEXTS, ""), "name": "\ud83d", "company_name": "\x00Acme\x00"},
    email="a@b.test",
    address=Address(line1="\udfff" * 300, country="AE"),
    marker=True,
)
def test_whatever_the_source_says_what_is_sent_fits(
    texts: dict[str, str], email: str, address: Address | None, marker: bool
) -> None:
    one = customer(**texts, email=email, address=address)
    try:
        drafted = draft(one, started_at=STARTED, marker=marker)
    except (MissingFieldsError, InvalidEmailError):
        return
    assert drafted == draft(one, started_at=STARTED, marker=marker)
    body = orjson.loads(orjson.dumps(drafted.body))
    assert body == drafted.body
    assert set(body) <= {*LIMITS, "metadata"}
    assert body["first_name"]
    assert body.get("email", "") == email.strip()
    assert re.fullmatch(r"\+[1-9]\d{1,13}|", body.get("phone_number", ""))
    assert re.fullmatch(r"[A-Z]{2}|", body.get("country", ""))
    for name, limit in LIMITS.items():
        value = body.get(name, "x")
        assert value
        assert len(value) <= limit
        assert value == value.strip()
        assert not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in value)
    for value in filter(None, [email.strip(), texts["phone"].strip()]):
        assert len(value) < 5 or value not in " ".join(drafted.warnings)


@given(ANYTHING, st.integers(min_value=1, max_value=60))
def test_cut_text_fits_and_is_how_the_text_begins(text: str, limit: int) -> None:
    whole = clean(text)
    short = cut(whole, limit)
    assert len(short) <= limit
    assert whole.startswith(short)
    assert not whole or short
    assert clean(whole) == whole


@given(ANYTHING)
def test_addresses_are_compared_without_case_and_blanks(text: str) -> None:
    assert email_key(f" {text}\n") == email_key(text)
    assert email_key("MONA@Example.com ") == "mona@example.com"
