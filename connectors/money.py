"""Exact money: decimals only, as many decimal places as the currency has, and a refusal where an amount does not fit.

The decimal places are those of ISO 4217 (https://www.iso.org/iso-4217-currency-codes.html, list one).
"""

import re
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
    "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
    "MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_FOUR = "CLF UYW"

EXPONENTS = {
    code: places for places, codes in ((0, _NONE), (2, _TWO), (3, _THREE), (4, _FOUR)) for code in codes.split()
}
"""ISO 4217 code in capitals → how many decimal places its amounts have."""

_NUMBER = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,24})?|\.\d{1,24})", re.ASCII)
_WIDE = Context(prec=100, traps=[InvalidOperation, Inexact])
"""Wide enough for the exact sum of any amounts that `parse` lets in; what would not be exact raises."""


class MoneyError(ValueError):
    """An amount or a currency cannot be taken as it is. Its words name the amount and the currency, nobody's data."""


def exponent(currency: str) -> int:
    """Return how many decimal places the currency has: 2 for USD, 0 for JPY, 3 for KWD. Raises MoneyError."""
    places = EXPONENTS.get(currency)
    if places is None:
        msg = f"{currency[:8]!r} is no currency of ISO 4217" if currency else "there is no currency"
        raise MoneyError(msg)
    return places


def parse(value: object) -> Decimal:
    """Return the number that a text, a whole number or a decimal says. Raises MoneyError for everything else.

    A float is refused: it has lost what it stood for before it came here. So are exponents, `NaN` and infinity.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise MoneyError("the amount is not a number")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and len(value) < 64 and _NUMBER.fullmatch(value.strip()):
        return Decimal(value.strip())
    msg = "an amount came as a floating-point number" if isinstance(value, float) else "an amount is not a number"
    raise MoneyError(msg)


def exact(amount: Decimal, currency: str) -> Decimal:
    """Return the amount with just the currency's decimal places. Raises MoneyError when it would have to be rounded."""
    places = exponent(currency)
    try:
        return amount.quantize(Decimal(1).scaleb(-places), context=_WIDE)
    except (Inexact, InvalidOperation):
        msg = f"{amount:f} {currency} has more than {places} decimal places"
        raise MoneyError(msg) from None


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum: the precision of the thread's decimal context rounds nothing away."""
    found = Decimal(0)
    for amount in amounts:
        found = _WIDE.add(found, amount)
    return found


def text(amount: Decimal, currency: str) -> str:
    """Return the amount as providers take it, in major units: `12.50`, `1250` (JPY), `12.500` (KWD). Raises MoneyError.

    Example: `text(Decimal("12.5"), "KWD") == "12.500"`
    """
    return f"{exact(amount, currency):f}"


def shown(amount: Decimal, currency: str) -> str:
    """Return the amount for people; one that does not fit the currency is shown whole."""
    try:
        return f"{text(amount, currency)} {currency}"
    except MoneyError:
        return f"{amount:f} {currency}".strip()
