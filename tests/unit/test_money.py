"""Money: exact, or refused. Never a float, never a rounding that nobody asked for."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.money import EXPONENTS, MoneyError, exact, exponent, parse, shown, text, total

AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=6, allow_nan=False)


@pytest.mark.parametrize(
    "currency, places", [("USD", 2), ("AED", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("OMR", 3), ("CLF", 4)]
)
def test_a_currency_has_the_places_of_iso_4217(currency: str, places: int) -> None:
    assert exponent(currency) == places
    assert set(EXPONENTS.values()) == {0, 2, 3, 4}


@pytest.mark.parametrize("currency", ["", "usd", "XXX", "EURO", "US", "💶"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(MoneyError):
        exact(Decimal(1), currency)


@pytest.mark.parametrize(
    "value, number",
    [
        ("1575", "1575"),
        ("0.333333", "0.333333"),
        (" 12.50 ", "12.50"),
        ("-3", "-3"),
        (7, "7"),
        (Decimal("1.10"), "1.1"),
    ],
)
def test_text_whole_numbers_and_decimals_are_read(value: object, number: str) -> None:
    assert parse(value) == Decimal(number)


@pytest.mark.parametrize(
    "value", [1.5, True, None, "", "1e3", "NaN", "Infinity", "1,5", "0x10", "٣", "9" * 40, Decimal("NaN"), [], "1 2"]
)
def test_everything_else_is_refused(value: object) -> None:
    with pytest.raises(MoneyError):
        parse(value)


@pytest.mark.parametrize(
    "amount, currency, written", [("12.5", "USD", "12.50"), ("1E+3", "JPY", "1000"), ("12.5", "KWD", "12.500")]
)
def test_an_amount_is_written_with_the_currency_s_places(amount: str, currency: str, written: str) -> None:
    assert text(Decimal(amount), currency) == written


@given(amount=AMOUNTS, currency=st.sampled_from(sorted(EXPONENTS)))
def test_an_amount_stays_what_it_is_or_is_refused(amount: Decimal, currency: str) -> None:
    fits = amount == round(amount, exponent(currency))
    try:
        assert exact(amount, currency) == amount
        assert fits
    except MoneyError:
        assert not fits
    assert f"{amount:f}".rstrip("0").rstrip(".") in shown(amount, currency)


@given(amounts=st.lists(AMOUNTS))
def test_a_sum_is_exact_whatever_precision_the_thread_has(amounts: list[Decimal]) -> None:
    scaled = sum(int(amount.scaleb(6)) for amount in amounts)
    with localcontext() as context:
        context.prec = 3
        found = total(amounts)
    assert found.scaleb(6) == scaled
