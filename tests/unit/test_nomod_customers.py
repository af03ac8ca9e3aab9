"""The rules for a customer's fields at Nomod: what is refused, what is sent, what is left out."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from connectors import Address, InvalidEmailError, MissingFieldsError
from connectors.nomod.customers import Place, draft, marker_of, metadata, phone_of, place_of, validate
from connectors.nomod.fields import cut
from connectors.nomod.rows import moment
from tests.unit.nomod_customer_setup import STARTED, customer


def body_of(*, province: str | None = None, marker: bool = False, **fields: Any) -> dict[str, Any]:
    """What is sent for a customer, without `metadata`."""
    drafted = draft(customer(**fields), started_at=STARTED, marker=marker, province=province)
    return {key: value for key, value in drafted.body.items() if key != "metadata"}


def warnings_of(**fields: Any) -> tuple[str, ...]:
    """What is said to have been left out or altered."""
    return draft(customer(**fields), started_at=STARTED, marker=False).warnings


# Names


def test_a_whole_name_is_not_split_by_guess() -> None:
    assert body_of(name="Mona  van der Salem") == {"first_name": "Mona van der Salem", "email": "mona@example.com"}


def test_both_parts_of_a_name_go_where_they_belong() -> None:
    body = body_of(name="Salem, Mona", given_name="Mona", family_name="Salem")
    assert (body["first_name"], body["last_name"]) == ("Mona", "Salem")


@pytest.mark.parametrize("part", [{"given_name": "Mo"}, {"family_name": "Mo"}])
def test_one_part_alone_does_not_replace_the_whole_name(part: dict[str, Any]) -> None:
    body = body_of(name="Mona Salem", **part)
    assert body["first_name"] == "Mona Salem"
    assert "last_name" not in body


def test_one_part_is_the_name_where_there_is_no_other() -> None:
    assert body_of(name="", family_name="Salem")["first_name"] == "Salem"


def test_a_company_without_a_person_is_both_business_and_first_name() -> None:
    body = body_of(name="", company_name="Acme Trading")
    assert (body["first_name"], body["business_name"]) == ("Acme Trading", "Acme Trading")


def test_a_name_that_nobody_can_see_does_not_hide_the_companys() -> None:
    assert body_of(name="\u200b \u2060", company_name="Acme")["first_name"] == "Acme"


def test_a_long_name_is_cut_between_words_and_said_so() -> None:
    name = " ".join(["Maximilian"] * 20)
    drafted = draft(customer(name=name, company_name=name), started_at=STARTED, marker=False)
    assert drafted.body["first_name"] == " ".join(["Maximilian"] * 13)
    assert drafted.body["business_name"] == " ".join(["Maximilian"] * 4)
    assert drafted.warnings == ("first_name cut to 150 characters", "business_name cut to 50 characters")


def test_one_endless_word_is_cut_but_not_through_a_letter() -> None:
    assert body_of(name="x" * 200)["first_name"] == "x" * 150
    accented = "e\u0301" * 100
    assert cut("x" + accented, 150) == "x" + "e\u0301" * 74


@pytest.mark.parametrize("name", ["", "   ", "\u200b", "\x00\x1f", "\u0301"])
def test_a_customer_without_a_name_that_can_be_seen_is_refused(name: str) -> None:
    with pytest.raises(MissingFieldsError, match="name"):
        validate(customer(name=name), marker=True)


# E-mail


@pytest.mark.parametrize(
    "email",
    [
        "mona@example.com", "  mona@example.com\n", "Mona.Salem+invoices@Example.co.uk", "o'hara@example.org",
        "mona@shop.test", "mona@shop.example", "mona@shop.invalid", "mona@mail.shop.local", "m@münchen.de",
        "mona@xn--mnchen-3ya.de",
    ],
)  # fmt: skip
def test_a_wellformed_address_is_sent_as_the_source_has_it(email: str) -> None:
    assert body_of(email=email)["email"] == email.strip()


@pytest.mark.parametrize(
    "email",
    [
        "mona", "mona@", "@example.com", "mona@example", "mona@localhost", "mona@@example.com", "mo na@example.com",
        "mona@example..com", ".mona@example.com", "mona@-example.com", "mona@exa_mple.com", "mona@192.0.2.1",
        "mona@[192.0.2.1]", '"mona"@example.com', "Mona <mona@example.com>", "mona@example.com, x@example.com",
        "mona@example.com\nBcc: x@example.com", "mona\u200b@example.com", "mona＠example.com", "mona@test",
        "mona@.test", "mona@a..test", "mona@example.123", f"{'m' * 65}@example.com", "\ud800@example.com",
        "mona@\ud800.com",
    ],
)  # fmt: skip
@pytest.mark.parametrize("marker", [True, False])
def test_a_malformed_address_is_refused_without_being_repeated(email: str, marker: bool) -> None:
    with pytest.raises(InvalidEmailError) as refused:
        validate(customer(email=email), marker=marker)
    assert email not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_address_is_refused_unless_customers_are_marked() -> None:
    with pytest.raises(MissingFieldsError, match="email"):
        validate(customer(email="  "), marker=False)
    assert body_of(email="", marker=True) == {"first_name": "Mona Salem", "job_title": "lg:flexprice-prod:cust_1"}


def test_name_and_address_that_are_both_missing_are_both_named() -> None:
    with pytest.raises(MissingFieldsError, match="name, email"):
        validate(customer(name="", email=""), marker=False)


# Phone


@pytest.mark.parametrize(
    "phone, country, sent",
    [
        ("+971 50 123 4567", "", "+971501234567"),
        ("050 123 4567", "AE", "+971501234567"),
        ("050-123 4567", "ae", "+971501234567"),
        ("00971501234567", "AE", "+971501234567"),
        ("٠٥٠١٢٣٤٥٦٧", "AE", "+971501234567"),
        ("(212) 555-0123", "US", "+12125550123"),
        ("+12125550123", "AE", "+12125550123"),
    ],
)
def test_a_valid_number_is_sent_in_e164(phone: str, country: str, sent: str) -> None:
    fields: dict[str, Any] = {"phone": phone, "address": Address(country=country)}
    assert body_of(**fields)["phone_number"] == sent
    assert phone_of(customer(**fields)) == sent
    assert not warnings_of(**fields)


@pytest.mark.parametrize(
    "phone, country, warning",
    [
        ("050 123 4567", "", "phone omitted: it has no country code, and there is no country to read it by"),
        ("050 123 4567", "Emirates", "phone omitted: it has no country code, and there is no country to read it by"),
        ("050 123 4567", "XX", "phone omitted: it has no country code, and there is no country to read it by"),
        ("call me", "AE", "phone omitted: not a phone number"),
        ("+971 50", "AE", "phone omitted: not a valid number"),
        ("050 123 456 789 0123", "AE", "phone omitted: not a valid number"),
        ("+999123456789", "", "phone omitted: not a phone number"),
        ("+49 1512 3456789012", "", "phone omitted: not a valid number"),
    ],
)
def test_a_doubtful_number_is_left_out_and_said_so(phone: str, country: str, warning: str) -> None:
    fields: dict[str, Any] = {"phone": phone, "address": Address(country=country)}
    assert "phone_number" not in body_of(**fields)
    assert warning in warnings_of(**fields)
    assert not any(digit in warning for digit in "123456789")


def test_a_number_of_fifteen_digits_does_not_fit_with_its_plus_sign() -> None:
    assert "phone_number" not in body_of(phone="+493357712924540")
    assert warnings_of(phone="+493357712924540") == ("phone omitted: longer than 15 characters",)


def test_an_extension_is_left_out_and_said_so() -> None:
    assert body_of(phone="+1 212 555 0123 ext. 45")["phone_number"] == "+12125550123"
    assert warnings_of(phone="+1 212 555 0123 ext. 45") == ("phone sent without its extension",)


# Address


def test_an_address_is_sent_where_it_maps_for_certain() -> None:
    address = Address(
        line1="Office 12", line2="Al Wasl Road", city="Dubai", region="Dubai", postal_code="00000", country="ae"
    )
    province = "6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11"
    assert place_of(customer(address=address)) == Place("AE", "Dubai")
    body = body_of(province=province, address=address)
    assert {key: body[key] for key in body if key not in {"first_name", "email"}} == {
        "street": "Office 12, Al Wasl Road", "city": "Dubai", "zip_code": "00000", "country": "AE",
        "province": province,
    }  # fmt: skip


@pytest.mark.parametrize("country", ["United Arab Emirates", "ARE", "A1", "ÄÖ", "Å", "784", "A "])
def test_a_country_that_is_no_code_of_two_letters_is_not_guessed_at(country: str) -> None:
    address = Address(country=country, region="Dubai", city="Dubai")
    assert place_of(customer(address=address)) is None
    body = body_of(province="6f1e7f0a-7a55-4b0e-9f0b-6d0c0f6b7a11", address=address)
    assert body["city"] == "Dubai"
    assert not {"country", "province"} & body.keys()
    assert "country omitted: not a code of two letters" in warnings_of(address=address)


def test_a_province_without_an_id_is_left_out_and_said_so() -> None:
    address = Address(country="AE", region="Dubay")
    assert body_of(address=address)["country"] == "AE"
    assert warnings_of(address=address) == ("province omitted: not known to Nomod by this name",)


def test_a_postal_code_is_never_cut() -> None:
    address = Address(postal_code="12345678901234567")
    assert "zip_code" not in body_of(address=address)
    assert warnings_of(address=address) == ("zip_code omitted: longer than 16 characters",)


# Metadata and marker


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=4))])
def test_metadata_is_as_the_specification_has_it(zone: timezone) -> None:
    assert metadata(customer(), STARTED.astimezone(zone)) == {
        "flexprice_customer_id": "cust_1",
        "flexprice_environment": "prod",
        "flexprice_sync_timestamp": "2026-01-20T10:30:00Z",
    }


def test_metadata_is_named_after_the_platform() -> None:
    keys = draft(customer(platform="tithely"), started_at=STARTED, marker=False).body["metadata"]
    assert list(keys) == ["tithely_customer_id", "tithely_environment", "tithely_sync_timestamp"]


def test_a_marker_is_written_only_where_it_was_asked_for() -> None:
    assert "job_title" not in body_of()
    assert body_of(marker=True)["job_title"] == "lg:flexprice-prod:cust_1"


def test_a_reference_that_does_not_fit_is_marked_by_its_hash() -> None:
    long = [customer(customer_id="c" * 60 + end) for end in "ab"]
    markers = {marker_of(one) for one in long}
    assert len(markers) == 2
    assert all(re.fullmatch(r"lg:[0-9a-f]{40}", marker) for marker in markers)
    assert re.fullmatch(r"lg:[0-9a-f]{40}", marker_of(customer(customer_id="two  blanks")))


# What is read back


@pytest.mark.parametrize(
    "text, read",
    [
        ("2026-01-01T13:29:22.809384Z", datetime(2026, 1, 1, 13, 29, 22, 809384, tzinfo=UTC)),
        ("2026-01-01T13:29:22", datetime(2026, 1, 1, 13, 29, 22, tzinfo=UTC)),
        (" 2026-01-01T17:29:22.8+04:00 ", datetime(2026, 1, 1, 13, 29, 22, 800000, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:59", None),
        (1767274162, None),
        (None, None),
    ],
)
def test_a_time_is_read_as_aware_utc_or_not_at_all(text: object, read: datetime | None) -> None:
    assert moment(text) == read
