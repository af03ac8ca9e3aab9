"""QuickBooks' errors: every shape is read, every code has its policy, and no text gives a customer away."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from connectors import errors
from connectors.errors import ConnectorError, DuplicateRefusedError
from connectors.http import Reply
from connectors.invoice_errors import NumberTakenError
from connectors.quickbooks.faults import error_in, faults_in
from connectors.quickbooks.privacy import LONGEST, scrub, texts_in
from connectors.testing.quickbooks_wire import gateway_fault, xml_fault


def reply(status: int, body: bytes | dict[str, Any], **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"intuit_tid": "1-tid", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Reply(status=status, headers=CIMultiDictProxy(CIMultiDict(all_headers)), body=content)


def service(code: object, detail: str = "", *, kind: str = "ValidationFault", message: str = "M") -> dict[str, Any]:
    return {"Fault": {"Error": [{"Message": message, "Detail": detail, "code": code, "element": ""}], "type": kind}}


def raised(status: int, body: bytes | dict[str, Any], **headers: str) -> ConnectorError:
    error = error_in(reply(status, body, **headers))
    assert error is not None
    return error


SHAPES: dict[str, bytes | dict[str, Any]] = {
    "capital": service("6190", "d"),
    "number": service(6190, "d"),
    "leading zeros": service("006190", "d"),
    "lower case": gateway_fault(6190, "d", status=403, name="X", leading_zeros=True),
    "xml": xml_fault(6190, "d", status=403, name="X"),
    "xml with a prefix": b'<ns0:IntuitResponse><ns0:Fault type="T"><ns0:Error code="6190"><ns0:Detail>d</ns0:Detail>'
    b"</ns0:Error></ns0:Fault></ns0:IntuitResponse>",
    "blanks before it": b"\n  " + json.dumps(service("6190", "d")).encode(),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_every_shape_is_read_under_any_status(shape: str, status: int) -> None:
    (fault,) = faults_in(reply(status, SHAPES[shape]))
    assert (fault.code, fault.detail) == (6190, "d")
    error = raised(status, SHAPES[shape])
    assert type(error) is errors.AccountBlockedError
    assert error.provider_code == "6190"
    assert error.provider_request_id == "1-tid"


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (401, 3200, errors.AuthenticationError), (401, 3202, errors.AuthenticationError),
        (401, 100, errors.AuthenticationError), (401, 120, errors.NeedsReauthError),
        (403, 3100, errors.NeedsReauthError), (401, 110, errors.NeedsReauthError), (400, 140, errors.NeedsReauthError),
        (400, 130, errors.UnreachableError), (503, 150, errors.UnreachableError),
        (429, 3001, errors.RateLimitedError), (403, 3001, errors.RateLimitedError),
        (400, 500, errors.RejectedError), (500, 500, errors.ProviderError),
        (400, 600, errors.ProviderError), (400, 2130, errors.RejectedError), (400, 610, errors.StaleRecordError),
        (400, 620, errors.ProviderError), (400, 630, errors.RejectedError), (400, 1010, errors.RejectedError),
        (400, 2010, errors.RejectedError), (400, 2020, errors.MissingFieldsError), (400, 2030, errors.RejectedError),
        (400, 2040, errors.RejectedError), (400, 2050, errors.RejectedError), (400, 2170, errors.RejectedError),
        (400, 2210, errors.InvalidEmailError), (400, 2220, errors.RejectedError), (400, 2500, errors.StaleRecordError),
        (400, 4000, errors.LookupImpossibleError), (400, 4001, errors.LookupImpossibleError),
        (400, 4002, errors.LookupImpossibleError), (400, 5010, errors.ProviderError),
        (403, 5020, errors.PermissionRefusedError), (400, 5030, errors.PermissionRefusedError),
        (400, 6000, errors.RejectedError), (400, 6080, errors.MissingFieldsError), (400, 6140, NumberTakenError),
        (403, 6190, errors.AccountBlockedError), (400, 6210, errors.RejectedError),
        (400, 6240, errors.DuplicateRefusedError), (400, 6250, errors.StaleRecordError),
        (500, 10000, errors.ProviderError), (400, 10000, errors.ProviderError),
        (400, 10100, errors.LookupImpossibleError), (400, 10200, errors.ConfigurationError),
        (400, 987654, errors.RejectedError), (500, 987654, errors.ProviderError),
    ],
)  # fmt: skip
def test_every_code_has_its_policy(status: int, code: int, kind: type[ConnectorError]) -> None:
    error = raised(status, service(str(code)))
    assert type(error) is kind
    assert error.provider_code == str(code)


@pytest.mark.parametrize(
    "status, body, kind",
    [
        (503, b"<html><title>503</title></html>", errors.ProviderError),
        (500, b"", errors.ProviderError),
        (408, b"", errors.ProviderError),
        (403, b"<html>cf-error</html>", errors.EdgeBlockedError),
        (400, b"<html>bad request</html>", errors.EdgeBlockedError),
        (401, b"<html></html>", errors.AuthenticationError),
        (404, b"{}", errors.ConfigurationError),
        (429, b"<html>slow down</html>", errors.RateLimitedError),
        (429, b"", errors.RateLimitedError),
        (302, b"", errors.UnexpectedResponseError),
        (400, b"{}", errors.RejectedError),
        (400, b'{"Fault": 7', errors.RejectedError),
        (200, b'{"Fault":{"Error":[],"type":"SystemFault"}}', errors.ProviderError),
        (200, b'{"Fault":{"type":"Whatever"}}', errors.UnexpectedResponseError),
        (200, b'{"Fault":{"Error":[{"code":"x"}],"type":"AuthenticationFault"}}', errors.AuthenticationError),
        (200, b'{"Fault":{"Error":[{"code":"x"}],"type":"AuthorizationFault"}}', errors.PermissionRefusedError),
    ],
)
def test_what_has_no_code_is_sorted_by_status_and_type(status: int, body: bytes, kind: type[ConnectorError]) -> None:
    assert type(raised(status, body)) is kind


@pytest.mark.parametrize(
    "body", [b'{"Customer":{"Id":"1"}}', b'{"fault":null,"Customer":{"Notes":"\\"Fault\\""}}', b""]
)
def test_a_good_answer_is_no_error(body: bytes) -> None:
    assert error_in(reply(200, body)) is None


@given(st.binary(max_size=300), st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]))
def test_no_bytes_whatever_break_the_reader(body: bytes, status: int) -> None:
    error = error_in(reply(status, body))
    assert status == 200 or error is not None


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["Fault", "fault", "Error", "error", "code", "Detail", "type"]), inner)))  # fmt: skip
def test_no_json_whatever_breaks_the_reader(body: Any) -> None:
    error_in(reply(400, json.dumps({"Fault": body}).encode()))


def test_of_several_errors_the_one_that_stops_the_connection_counts() -> None:
    both = {"Fault": {"Error": [{"code": "2050"}, {"code": "6240"}, {"code": "6190"}], "type": "ValidationFault"}}
    assert type(raised(400, both)) is errors.AccountBlockedError


@pytest.mark.parametrize(
    "detail, holder",
    [
        ("The name supplied already exists. : null", None),
        ("The name supplied already exists. : Id=1209", "1209"),
        ("Ce nom existe déjà. : Id=425", "425"),
        ("The customer ID is: 77", "77"),
        ("The name supplied already exists. : Another customer, vendor or employee is already using this name.", None),
        ("Paid=12", None),
    ],
)
def test_a_taken_name_tells_the_holder_where_quickbooks_does(detail: str, holder: str | None) -> None:
    error = raised(400, service("6240", detail))
    assert isinstance(error, DuplicateRefusedError)
    assert error.provider_entity_id == holder
    assert not error.may_have_written


@pytest.mark.parametrize("header, seconds", [({}, 60.0), ({"Retry_After": "7"}, 7.0), ({"Retry_After": "x"}, 60.0)])
def test_a_throttle_waits_a_minute_unless_it_says_how_long(header: dict[str, str], seconds: float) -> None:
    assert raised(429, xml_fault(3001, "", status=429, name="ThrottleExceeded"), **header).retry_after == seconds


def test_an_error_never_repeats_what_was_sent() -> None:
    sent = {"DisplayName": "Zebulon Quux", "PrimaryEmailAddr": {"Address": "zeb@example.com"}, "Notes": "[gw:a:b]"}
    detail = 'Zebulon said "hello 12" to zeb@example.com, QUUX, +44 20 7946 0958; Business Validation Error'
    error = error_in(reply(400, service("6000", detail)), texts_in(sent))
    assert error is not None
    told = f"{error} {error.detail} {error!r}".casefold()
    assert "business validation error" in told
    assert not any(secret in told for secret in ("zeb", "quux", "example.com", "7946", "hello"))


def test_a_refused_query_is_not_quoted() -> None:
    error = raised(400, service("4000", "Lexical error near: select * from Customer where DisplayName = 'Zebulon'"))
    assert "Zebulon" not in str(error)


@given(st.lists(st.text(min_size=2, max_size=12), max_size=3), st.text(max_size=400))
def test_scrubbed_text_is_short_and_holds_no_whole_value(private: list[str], text: str) -> None:
    clean = scrub(text + " " + " ".join(private), private)
    assert len(clean) <= LONGEST
    for value in private:
        # Blanks are collapsed afterwards, and a single sign says nothing of anybody.
        word = value.strip()
        if len(word) > 1 and word.isalnum():
            assert word.casefold() not in {part.casefold() for part in clean.split()}
