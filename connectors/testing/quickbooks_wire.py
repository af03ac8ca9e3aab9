"""What Intuit puts on the wire: JSON with exact numbers, its XML twin, times, and the shapes of its errors."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape, quoteattr

Record = dict[str, Any]

NAMESPACE = "http://schema.intuit.com/finance/v3"
COMPANY_TIME = timezone(timedelta(hours=-8))
"""Intuit writes times with the offset of its own data centre, never in UTC."""

INACTIVE = (
    "Something you're trying to use has been made inactive. "
    "Check the fields with accounts, customers, items, vendors or employees."
)

# https://developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/error-codes
MESSAGES: Mapping[int, str] = {
    150: "Company Under Maintenance",
    500: "Unsupported Operation",
    600: "Duplicate Request ID",
    610: "Object Not Found",
    1040: "Batch size exceeds allowed limit",
    1050: "Invalid Content Type",
    2010: "Request has invalid or unsupported property",
    2020: "Required param missing, need to supply the required value for the API",
    2030: "Invalid ID",
    2040: "Invalid String. The String contains non-allowed characters",
    2050: "String length is either shorter or longer than supported by specification",
    2130: "Invalid Request Id Format",
    2170: "Invalid Enumeration",
    2210: "Invalid Email Address format",
    2220: "Invalid Currency",
    2500: "Invalid Reference Id",
    4000: "Error parsing query",
    4001: "Invalid query",
    5010: "Stale Object Error",
    5020: "Permission Denied Error",
    5030: "Feature Not Supported Error",
    6000: "A business validation error has occurred while processing your request",
    6070: "Amount calculation incorrect in the request",
    6080: "No name provided",
    6100: "Invalid Line TaxCode in the request",
    6140: "Duplicate Document Number Error",
    6190: "Invalid Company Status",
    6210: "Account Period Closed, Cannot Update Through Services API",
    6240: "Duplicate Name Exists Error",
    6250: "Invalid Sales Customer",
    6420: "Email address required",
    6560: "CustomerRef is missing in the request",
    10000: "An application error has occurred while processing your request",
}


class Refusal(Exception):
    """The service refuses: a capital `Fault`, answered with `status` (HTTP, 400 where nothing else is said)."""

    def __init__(
        self, code: int, detail: str, *, message: str | None = None, status: int = 400, element: str = "",
        kind: str = "ValidationFault",
    ) -> None:  # fmt: skip
        super().__init__(f"{code} {detail}")
        self.code, self.status = code, status
        self.fault = fault(code, detail, message=message, element=element, kind=kind)


class GatewayRefusal(Exception):
    """The gateway in front refuses: the lowercase `fault`, before any of the company's data was looked at."""

    def __init__(self, code: int, detail: str, *, status: int = 401, name: str = "AuthenticationFailed") -> None:
        super().__init__(f"{code} {detail}")
        self.code, self.status = code, status
        self.body = gateway_fault(code, detail, status=status, name=name)


def fault(
    code: int, detail: str, *, message: str | None = None, element: str = "", kind: str = "ValidationFault",
    leading_zeros: bool = False,
) -> Record:  # fmt: skip
    """Return the value of `Fault` as the service writes it, the code with six digits where `leading_zeros` is set."""
    text = message if message is not None else MESSAGES.get(code, "Error")
    number = f"{code:06}" if leading_zeros else str(code)
    return {"Error": [{"Message": text, "Detail": detail, "code": number, "element": element}], "type": kind}


def gateway_fault(
    code: int, detail: str, *, status: int, name: str, kind: str = "AUTHENTICATION", leading_zeros: bool = False,
    time_ms: int = 1_700_000_000_000,
) -> Record:  # fmt: skip
    """Return the gateway's whole body, which spells everything in lower case and carries a dozen nulls."""
    message = f"message={name}; errorCode={code:06}; statusCode={status}"
    number = f"{code:06}" if leading_zeros else str(code)
    error = {"message": message, "detail": detail, "code": number, "element": None}
    return {
        "warnings": None, "intuitObject": None, "fault": {"error": [error], "type": kind}, "report": None,
        "queryResponse": None, "batchItemResponse": [], "attachableResponse": [], "syncErrorResponse": None,
        "requestId": None, "time": time_ms, "status": None, "cdcresponse": [],
    }  # fmt: skip


def xml_fault(code: int, detail: str, *, status: int, name: str, kind: str = "SERVICE") -> bytes:
    """Return an error as XML, which the gateway sends whatever `Accept` says."""
    message = f"message={name}; errorCode={code:06}; statusCode={status}"
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><IntuitResponse time="2026-01-05T10:00:00.000-08:00"'
        f' xmlns="{NAMESPACE}"><Fault type={quoteattr(kind)}><Error code="{code}"><Message>{escape(message)}</Message>'
        f"<Detail>{escape(detail)}</Detail></Error></Fault></IntuitResponse>"
    ).encode()


def throttle_xml(detail: str = "The request limit was reached. Try again later") -> bytes:
    """Return the body of a 429, which is XML."""
    return xml_fault(3001, detail, status=429, name="ThrottleExceeded")


def dump(value: Any) -> str:
    """Return JSON with letters as they are, in which a Decimal is written digit for digit, never by way of a float."""
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            return "{" + ",".join(f"{dump(key)}:{dump(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(dump(item) for item in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def load(text: str) -> Any:
    """Read JSON, every fraction as a Decimal. Raises ValueError, also for NaN and Infinity, which are no JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"Unexpected character ('{name[0]}')")

    return json.loads(text, parse_float=Decimal, parse_constant=refuse)


def to_xml(body: Record) -> bytes:
    """Return an answer as XML, which is what the service speaks unless `Accept` asks for JSON."""

    def element(name: str, value: Any) -> str:
        match value:
            case list():
                return "".join(element(name, item) for item in value)
            case dict():
                return f"<{name}>" + "".join(element(key, item) for key, item in value.items()) + f"</{name}>"
            case None:
                return ""
            case _:
                text = value if isinstance(value, str) else dump(value)
                return f"<{name}>{escape(text)}</{name}>"

    inner = "".join(element(key, item) for key, item in body.items() if key != "time")
    time = quoteattr(str(body.get("time", "")))
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return f'{head}<IntuitResponse xmlns="{NAMESPACE}" time={time}>{inner}</IntuitResponse>'.encode()


def stamp(seconds: float, *, milliseconds: bool = False) -> str:
    """Write a moment as Intuit does: ISO 8601 with an offset; answers carry milliseconds, records none."""
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(COMPANY_TIME)
    return moment.isoformat(timespec="milliseconds" if milliseconds else "seconds")
