"""Whom a gift is from: ids that stay the same for ever, and tell no log who it was."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.models import Customer
from gateway.errors import PlaceholderEmailError
from gateway.sources.tithely import PLACEHOLDERS, TithelySource
from gateway.sources.tithely_envelope import DONOR_ID
from tests.unit.tithely_setup import identity, source

JANE = hashlib.sha256(b"jane@example.com").hexdigest()[:32]


def test_the_donor_id_says_who_gave_whatever_else_is_told() -> None:
    assert identity(donor_id="user_7") == identity(donor_id=" user_7 ", email="jane@example.com") == "user_7"


def test_a_whole_number_is_a_donor_id_too() -> None:
    assert identity(donor_id=17) == identity(donor_id="17") == "17"


@pytest.mark.parametrize("donor_id", [None, "", "  "])
@pytest.mark.parametrize("email", ["jane@example.com", " Jane@Example.COM ", "JANE@EXAMPLE.COM"])
def test_without_one_the_address_says_it_in_any_case_and_as_a_hash(donor_id: str | None, email: str) -> None:
    assert identity(donor_id=donor_id, email=email, first_name="Jane") == f"email:{JANE}"


def test_without_an_address_the_whole_name_says_it() -> None:
    ids = {
        identity(first_name="Jane", last_name="Doe"),
        identity(first_name=" JANE ", last_name="doe"),
        identity(first_name="Jane  Doe"),
        identity(last_name="jane doe"),
    }
    assert ids == {"name:" + hashlib.sha256(b"jane doe").hexdigest()[:32]}


def test_letters_composed_and_decomposed_are_the_same_person() -> None:
    assert identity(first_name="Jos\u00e9") == identity(first_name="Jose\u0301")
    assert identity(email="jos\u00e9@example.com") == identity(email="jose\u0301@example.com")


def test_a_gift_that_names_nobody_is_from_nobody_else_either() -> None:
    assert identity() == "gift:ch_1"


@pytest.mark.parametrize(
    "donor_id", ["jane@example.com", "Jane Doe", "email:" + JANE, "gift:ch_1", "é", "-x", "a" * 129]
)
def test_a_donor_id_of_another_form_is_hashed_so_that_it_names_nobody_and_meets_no_id_of_ours(donor_id: str) -> None:
    assert identity(donor_id=donor_id) == "donor:" + hashlib.sha256(donor_id.encode()).hexdigest()[:32]


@given(
    st.fixed_dictionaries(
        {}, optional={name: st.text(max_size=30) for name in ("donor_id", "first_name", "last_name", "email")}
    )
)
def test_an_id_is_short_printable_and_holds_no_address(told: dict[str, str]) -> None:
    found = identity(**{name: text.encode("utf-8", "replace").decode() for name, text in told.items()})
    assert 0 < len(found) <= 255
    assert found.isascii()
    assert found.isprintable()
    assert "@" not in found
    assert DONOR_ID.fullmatch(found) or found.partition(":")[0] in ("donor", "email", "name", "gift")


# Placeholders --------------------------------------------------------------------------------------------------------


def customer(email: str) -> Customer:
    return Customer(
        source="tithely-main", platform="tithely", environment_id="prod", customer_id="user_7", given_name="Unknown",
        email=email,
    )  # fmt: skip


@pytest.mark.parametrize(
    "email",
    [
        "a8f2k1@tithe.ly", "A8F2K1@Tithe.LY ", "x@mail.tithely.com", "noemail@church.org", "placeholder+7@church.org",
        "no-email-1@church.org", "jane@placeholder.net", "x@nowhere.invalid", "donor@localhost",
    ],
)  # fmt: skip
def test_an_address_that_no_giver_has_goes_before_a_person(email: str) -> None:
    with pytest.raises(PlaceholderEmailError) as caught:
        source().screen(customer(email))
    assert email.strip().casefold() not in str(caught.value).casefold()


@pytest.mark.parametrize(
    "email",
    [
        "",
        "jane@example.com",
        "anon@example.com",
        "jane@tithe.ly.example.com",
        "tithe.ly@example.com",
        "info@church.test",
    ],
)
def test_an_address_of_a_giver_passes(email: str) -> None:
    source().screen(customer(email))


def test_a_list_of_patterns_replaces_the_default() -> None:
    adapter = source(placeholder_emails=["Batch-*@Church.ORG"])
    adapter.screen(customer("x@tithe.ly"))
    with pytest.raises(PlaceholderEmailError, match="pattern 1 of placeholder_emails"):
        adapter.screen(customer("batch-0007@church.org"))


def test_an_empty_list_lets_every_address_pass() -> None:
    source(placeholder_emails=[]).screen(customer("x@tithe.ly"))


@pytest.mark.parametrize(
    "options",
    [
        {"placeholders": ["*@x.org"]}, {"placeholder_emails": "*@x.org"}, {"placeholder_emails": ["*"]},
        {"placeholder_emails": [7]}, {"placeholder_emails": ["x@" + "y" * 200]}, {"placeholder_emails": ["a@b"] * 101},
    ],
)  # fmt: skip
def test_options_that_cannot_be_used_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TithelySource.check_options(options)


@pytest.mark.parametrize("pattern", PLACEHOLDERS)
def test_the_default_patterns_are_options_that_can_be_written_down(pattern: str) -> None:
    TithelySource.check_options({"placeholder_emails": [pattern]})
