"""The names of a customer in QuickBooks: the product's rule, cleaning, limits, and what never changes."""

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.errors import InvalidEmailError, MissingFieldsError
from connectors.models import Address, Customer
from connectors.quickbooks.customers import (
    candidate_of,
    draft_of,
    echoes,
    emails_in,
    marker_in,
    marker_of,
)
from connectors.quickbooks.names import NAME_LIMIT, Names, clean, names_of, same_name, shorten, usable_email

TEXT = st.text(max_size=160)


def customer(**fields: Any) -> Customer:
    return Customer(
        **(
            {"source": "tithely-main", "platform": "tithely", "environment_id": "prod", "customer_id": "user_7"}
            | fields
        )
    )


def body(variant: int = 0, *, with_currency: bool = False, **fields: Any) -> dict[str, Any]:
    one = customer(**fields)
    return dict(draft_of(one, names_of(one), variant=variant, with_currency=with_currency).body)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize(
    "fields, given_name, family_name, display, email",
    [
        (
            {"given_name": "John", "family_name": "Doe", "email": "j@example.org"},
            "John", "Doe", "John Doe", "j@example.org",
        ),
        ({"given_name": "John", "family_name": "Doe"}, "John", "Doe", "John Doe", None),
        ({"family_name": "Doe"}, "Doe", "Doe", "Doe", None),
        ({"given_name": "John"}, "John", None, "John", None),
        ({"email": "j@example.org"}, "j@example.org", None, "j@example.org", "j@example.org"),
        ({"given_name": "  ", "family_name": "\t", "email": "j@example.org"}, "j@example.org", None, "j@example.org",
         "j@example.org"),
        ({"name": "Ada King Lovelace"}, "Ada King Lovelace", None, "Ada King Lovelace", None),
        ({"name": "ignored", "given_name": "Ada", "family_name": "King"}, "Ada", "King", "Ada King", None),
    ],
)  # fmt: skip
def test_names_follow_the_specification(
    fields: dict[str, Any], given_name: str, family_name: str | None, display: str, email: str | None
) -> None:
    sent = body(**fields)
    assert sent["GivenName"] == given_name
    assert sent.get("FamilyName") == family_name
    assert sent["DisplayName"] == sent["PrintOnCheckName"] == display
    assert sent.get("PrimaryEmailAddr") == ({"Address": email} if email else None)


def test_a_company_gets_a_company_name_and_no_given_name() -> None:
    sent = body(name="Acme Ltd", company_name="Acme  Ltd", email="pay@acme.example")
    assert (sent["DisplayName"], sent["CompanyName"]) == ("Acme Ltd", "Acme Ltd")
    assert "GivenName" not in sent
    assert "FamilyName" not in sent


def test_a_person_at_a_company_keeps_both_names() -> None:
    sent = body(name="Ada King", company_name="Acme Ltd")
    assert (sent["DisplayName"], sent["GivenName"], sent["CompanyName"]) == ("Ada King", "Ada King", "Acme Ltd")


def test_nothing_to_go_by_is_refused_before_any_request() -> None:
    with pytest.raises(MissingFieldsError):
        names_of(customer(given_name=" \u200b", family_name="::", name="\n"))


def test_nothing_but_a_bad_address_is_refused_as_such() -> None:
    with pytest.raises(InvalidEmailError):
        names_of(customer(email="not an address"))


def test_a_bad_address_beside_a_name_is_left_out_and_told() -> None:
    one = customer(given_name="John", email="john@localhost")
    draft = draft_of(one, names_of(one), variant=0, with_currency=False)
    assert "PrimaryEmailAddr" not in draft.body
    assert draft.warnings == ("e-mail address omitted: not a valid address",)


def test_the_variants_are_the_name_the_suffix_and_the_tag() -> None:
    names = names_of(customer(given_name="John", family_name="Doe"))
    assert names.displays() == ("John Doe", "John Doe (customer)", f"John Doe (customer {names.tag})")
    assert len(names.tag) == 8
    assert names.tag.isalnum()


def test_only_the_display_name_changes_with_the_variant() -> None:
    plain, suffixed = body(0, given_name="John", family_name="Doe"), body(1, given_name="John", family_name="Doe")
    assert suffixed["DisplayName"] == suffixed["PrintOnCheckName"] == "John Doe (customer)"
    changed = {"DisplayName", "PrintOnCheckName"}
    assert {k: v for k, v in plain.items() if k not in changed} == {
        k: v for k, v in suffixed.items() if k not in changed
    }


def test_namesakes_have_different_tags_and_one_customer_always_the_same() -> None:
    tags = {names_of(customer(given_name="J", customer_id=f"user_{n}")).tag for n in range(500)}
    assert len(tags) == 500
    # Written down once: a tag that changed with a release would make a second record.
    assert names_of(customer(given_name="J")).tag == "slfg5f77"


@pytest.mark.parametrize(
    "raw, cleaned",
    [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Ada\tLovelace\nCountess", "Ada Lovelace Countess"),
        ("Acme: North", "Acme North"),
        ("Ada\u00a0Lovelace\u3000", "Ada Lovelace"),
        ("A\u200bd\u202ea\u0000", "Ada"),
        ("Re\u0301my", "Rémy"),
        ("\ud800Ada", "Ada"),
        ("O'Brien & Söhne <x>", "O'Brien & Söhne <x>"),
    ],
)
def test_names_are_cleaned(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@given(TEXT)
@example("a\u200d\u0301")
def test_cleaning_twice_changes_nothing_and_leaves_nothing_forbidden(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not set(once) & set(":\t\n\r")
    assert all(unicodedata.category(character) not in {"Cc", "Cf", "Cs"} for character in once)
    assert once == once.strip()
    assert "  " not in once


@given(TEXT, st.integers(1, 40))
def test_shortening_keeps_a_beginning_within_the_limit(text: str, limit: int) -> None:
    once = clean(text)
    cut = shorten(once, limit)
    assert once.startswith(cut)
    assert units(cut) <= limit
    assert cut == cut.strip()


def test_a_cut_falls_between_words_and_never_between_a_letter_and_its_accent() -> None:
    assert shorten("Wolfgang Amadeus Mozart", 20) == "Wolfgang Amadeus"
    assert shorten("x\u0308" * 5, 5) == "x\u0308" * 2
    assert shorten("👍🏽" * 3, 7) == "👍🏽"


@given(TEXT, TEXT, TEXT, TEXT, TEXT)
def test_every_body_is_within_quickbooks_limits(first: str, last: str, whole: str, company: str, email: str) -> None:
    one = customer(given_name=first, family_name=last, name=whole, company_name=company, email=email)
    try:
        names = names_of(one)
    except (MissingFieldsError, InvalidEmailError):
        return
    drafts = [draft_of(one, names, variant=variant, with_currency=False).body for variant in range(3)]
    for sent in drafts:
        for key in ("DisplayName", "PrintOnCheckName", "GivenName", "FamilyName", "CompanyName"):
            assert key not in sent or 0 < units(sent[key]) <= NAME_LIMIT
            assert not set(sent.get(key, "")) & set(":\t\n")
        assert sent["DisplayName"].startswith(names.stem)
    assert len({sent["DisplayName"] for sent in drafts}) == 3
    assert draft_of(one, names_of(one), variant=0, with_currency=False).body == drafts[0]


@pytest.mark.parametrize("email", ["ada@example.com", "o'brien+x@sub.example.co.uk", "ädä@bücher.example", "a@b.c"])
def test_usable_addresses_are_sent_as_they_are(email: str) -> None:
    assert usable_email(f" {email}\n") == email


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.com", "a@b", "a@b@c.d", "a b@c.de", "a@c.de,b@c.de", "a@c..de", "a@.de", "a@c.de.",
     "x" * 95 + "@ex.org", "Ada <ada@example.com>", "a\u200b@c.de", "a:b@c.de"],
)  # fmt: skip
def test_unusable_addresses_are_absent(email: str) -> None:
    assert usable_email(email) == ""


def test_case_and_blanks_do_not_make_another_name() -> None:
    assert same_name("ADA  lovelace", "Ada Lovelace ")
    assert same_name("STRASSE", "Straße")
    assert not same_name("Ada Lovelace", "Ada Lovelace (customer)")


def test_address_phone_currency_and_marker_are_sent_where_known() -> None:
    sent = body(
        with_currency=True,
        given_name="Ada",
        phone=" +44 20:1 ",
        currency="EUR",
        address=Address(line1="1 St: James", city="London", country="GB", postal_code="p" * 40),
    )
    assert sent["PrimaryPhone"] == {"FreeFormNumber": "+44 20:1"}
    assert sent["BillAddr"] == {"Line1": "1 St: James", "City": "London", "Country": "GB", "PostalCode": "p" * 30}
    assert sent["CurrencyRef"] == {"value": "EUR"}
    assert sent["Notes"] == "[gw:tithely-main:user_7]"


def test_what_is_not_known_is_not_sent() -> None:
    assert set(body(given_name="Ada", currency="EUR", address=Address())) == {
        "DisplayName", "PrintOnCheckName", "GivenName", "Notes",
    }  # fmt: skip


def test_a_phone_that_is_too_long_is_left_out_and_told() -> None:
    one = customer(given_name="Ada", phone="9" * 31)
    draft = draft_of(one, names_of(one), variant=0, with_currency=False)
    assert "PrimaryPhone" not in draft.body
    assert draft.warnings == ("phone omitted: longer than 30 characters",)


@given(st.text(min_size=1, max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_a_marker_is_found_again_among_a_bookkeepers_notes(reference: str, before: str, after: str) -> None:
    marker = marker_of(reference)
    assert marker.isascii()
    readable = "".join(character for character in reference if not "\ud800" <= character <= "\udfff")
    if readable:
        assert marker_in(before + marker + after, wanted=readable) == readable


def test_of_two_markers_the_wanted_one_counts() -> None:
    notes = "[gw:a:1] merged with [gw:a:2]"
    assert marker_in(notes, wanted="a:2") == "a:2"
    assert marker_in(notes, wanted="a:3") == "a:1"
    assert marker_in("no marker [gw:] here") is None


def test_a_row_is_read_as_a_candidate() -> None:
    row = {
        "Id": "67", "DisplayName": "Ada Lovelace (deleted)", "Active": False, "Notes": "VIP [gw:flex:cus_1]",
        "PrimaryEmailAddr": {"Address": "ada@example.com, Lovelace@example.com"}, "CurrencyRef": {"value": "usd"},
        "PrimaryPhone": {"FreeFormNumber": "1"}, "MetaData": {"CreateTime": "2026-01-05T10:00:00-08:00"},
    }  # fmt: skip
    found = candidate_of(row, reference="flex:cus_1", held="ada lovelace")
    assert (found.provider_entity_id, found.name, found.active, found.marker) == (
        "67", "Ada Lovelace", False, "flex:cus_1",
    )  # fmt: skip
    assert found.emails == ("ada@example.com", "Lovelace@example.com")
    assert found.holds_name
    assert found.adoptable
    assert found.currency == "USD"
    assert found.created_at is not None
    assert found.created_at.isoformat() == "2026-01-05T18:00:00+00:00"


@pytest.mark.parametrize(
    "extra, kind",
    [
        ({"Job": True}, "sub-customer"),
        ({"ParentRef": {"value": "1"}}, "sub-customer"),
        ({"IsProject": True}, "project"),
    ],
)
def test_sub_customers_and_projects_are_never_adoptable(extra: dict[str, Any], kind: str) -> None:
    found = candidate_of({"Id": "1", "DisplayName": "Ada"} | extra, held="Ada")
    assert (found.kind, found.adoptable, found.holds_name) == (kind, False, True)


def test_addresses_in_one_field_are_parted() -> None:
    assert emails_in({"PrimaryEmailAddr": {"Address": " a@x.org;b@x.org ,c@x.org"}}) == (
        "a@x.org", "b@x.org", "c@x.org",
    )  # fmt: skip


def test_an_answer_about_another_record_is_noticed() -> None:
    sent = body(given_name="Łukasz", family_name="Żak")
    assert echoes({"Id": "1", "Notes": sent["Notes"], "DisplayName": "?ukasz ?ak"}, sent)
    assert echoes({"Id": "1", "DisplayName": "?ukasz ?ak"}, sent)
    assert not echoes({"Id": "1", "DisplayName": "Ada King"}, sent)
    assert not echoes({"Id": "1", "Notes": "[gw:tithely-main:user_8]", "DisplayName": "Łukasz Żak"}, sent)


def test_nothing_personal_is_in_a_repr() -> None:
    one = customer(given_name="Zebulon", email="zebulon@example.com")
    shown = repr(names_of(one)) + repr(draft_of(one, names_of(one), variant=0, with_currency=False)) + repr(one)
    assert "ebulon" not in shown
    assert isinstance(names_of(one), Names)
