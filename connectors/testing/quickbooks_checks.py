"""What the simulated QuickBooks accepts in a body: the property rules, applied before any business rule."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.testing.quickbooks_entities import Entity, Kind, Property
from connectors.testing.quickbooks_quirks import Quirks
from connectors.testing.quickbooks_wire import Record, Refusal

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ADDRESS_LINES = 2000
# The list of https://www.iso.org/iso-4217-currency-codes.html, less funds, metals and test codes.
_CURRENCIES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND
VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CURRENCIES.split())


def accept(entity: Entity, body: Mapping[str, Any], quirks: Quirks) -> Record:
    """Return what of a body is to be stored: known, writable, not null. Raises `Refusal` with the code of the rule."""
    return _object(body, entity.properties, quirks, "")


def _object(body: Mapping[str, Any], properties: Mapping[str, Property], quirks: Quirks, above: str) -> Record:
    kept: Record = {}
    for key, value in body.items():
        rule = properties.get(key)
        if rule is None:
            raise Refusal(2010, f"Property Name:{key} specified is unsupported or invalid", element=key)
        if rule.read_only or value is None:
            continue
        kept[key] = _value(value, rule, quirks, f"{above}{key}")
    lines = sum(len(kept.get(f"Line{number}", "")) for number in range(1, 6)) if "Line1" in properties else 0
    if lines > _ADDRESS_LINES:
        raise _too_long(_ADDRESS_LINES, lines, above.rstrip("."))
    return kept


def _value(value: Any, rule: Property, quirks: Quirks, path: str) -> Any:
    match rule.kind:
        case Kind.BOOLEAN if isinstance(value, bool):
            return value
        case Kind.NUMBER if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return value if isinstance(value, Decimal) else Decimal(value)
        case Kind.TEXT if isinstance(value, str):
            return _text(value, rule, quirks, path)
        case Kind.DATE if isinstance(value, str):
            return _day(value, path)
        case Kind.EMAIL if isinstance(value, dict):
            return _email(_object(value, rule.parts, quirks, f"{path}."), path)
        case Kind.REFERENCE if isinstance(value, dict):
            return _reference(value, path)
        case Kind.OBJECT if isinstance(value, dict):
            return _object(value, rule.parts, quirks, f"{path}.") if rule.parts else value
        case Kind.LIST if isinstance(value, list):
            if not rule.parts:
                return value
            return [_item(item, rule, quirks, f"{path}[{index}]") for index, item in enumerate(value)]
        case _:
            detail = f"Property Name:Can not construct instance of {path} from {type(value).__name__} value"
            raise Refusal(2010, detail, element=path)


def _item(item: Any, rule: Property, quirks: Quirks, path: str) -> Record:
    if not isinstance(item, dict):
        raise Refusal(2010, f"Property Name:Can not deserialize instance of {path}", element=path)
    return _object(item, rule.parts, quirks, f"{path}.")


def _text(value: str, rule: Property, quirks: Quirks, path: str) -> str:
    bad = next((character for character in rule.banned if character in value), None)
    if bad is not None:
        raise Refusal(2040, f"{path} has a non-allowed character: {bad!r}", element=path)
    if rule.longest is not None and len(value) > rule.longest:
        raise _too_long(rule.longest, len(value), path)
    if rule.one_of and value not in rule.one_of:
        raise Refusal(2170, f"Invalid Enumeration : {value}", element=path)
    return value.encode("latin-1", "replace").decode("latin-1") if quirks.garble_non_latin1 else value


def _too_long(longest: int, length: int, path: str) -> Refusal:
    detail = (
        "String length specified does not match the supported length. "
        f"Min:0 Max:{longest:,} supported. Supplied length:{length:,}"
    )
    return Refusal(2050, detail, element=path.rpartition(".")[2])


def _email(value: Record, path: str) -> Record:
    address = value.get("Address", "")
    if address and not all(_ADDRESS.fullmatch(part.strip()) for part in address.split(",")):
        detail = "Email Address does not conform to the syntax rules of RFC 822."
        raise Refusal(2210, detail, element=path)
    return value


def _reference(value: Mapping[str, Any], path: str) -> Record:
    unknown = next((key for key in value if key not in {"value", "name", "type"}), None)
    if unknown is not None:
        raise Refusal(2010, f"Property Name:{unknown} specified is unsupported or invalid", element=unknown)
    if not isinstance(value.get("value"), str) or not value["value"]:
        raise Refusal(2020, f"Required parameter {path}.value is missing in the request", element=path)
    # The name is QuickBooks' to write; what a caller puts there is not looked at.
    return {"value": value["value"]}


def _day(value: str, path: str) -> str:
    try:
        if len(value) == len("2026-01-05"):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise Refusal(2010, f"Property Name:Can not construct instance of java.util.Date from String {path}", element=path)
