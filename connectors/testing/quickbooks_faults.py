"""The ways in which Intuit answers wrongly, each made by name for the plan of faults."""

from typing import Any

from connectors.testing.quickbooks_wire import dump, fault, gateway_fault, throttle_xml, xml_fault
from connectors.testing.simulator import Fault, FaultKind, FaultPlan

API = "* /v3/company/*"
WRITES = "POST /v3/company/*"
TOKEN = "POST /oauth2/v1/tokens/bearer"  # noqa: S105 - a route
_TIME = "2026-01-05T10:00:00.000-08:00"


class QuickBooksFaults(FaultPlan):
    """A plan that can make Intuit's own faults: `sim.faults.add(sim.faults.xml_throttle(times=2))`.

    Every method returns a `Fault` and plans nothing by itself. All take the fields of Fault as further keywords,
    `route`, `times` and `skip` above all; the default route is the whole accounting API, which spares OAuth.
    """

    def xml_throttle(self, **more: Any) -> Fault:
        """Answer 429 in XML, whatever was asked for. `retry_after` adds the header that Intuit does not promise."""
        return self._make(FaultKind.THROTTLE, more, body=throttle_xml(), content_type="application/xml")

    def json_throttle(self, *, leading_zeros: bool = True, **more: Any) -> Fault:
        """Answer 429 as the gateway's JSON, code "003001"."""
        body = gateway_fault(
            3001, "The request limit was reached. Try again later", status=429, name="ThrottleExceeded",
            kind="SERVICE", leading_zeros=leading_zeros,
        )  # fmt: skip
        return self._refuse(429, body, more)

    def old_throttle(self, **more: Any) -> Fault:
        """Answer 403 with code 3001, as throttling once was told."""
        body = xml_fault(3001, "The request limit was reached", status=403, name="ThrottleExceeded")
        return self._make(FaultKind.REFUSE, more, status=403, body=body, content_type="application/xml")

    def html_unavailable(self, **more: Any) -> Fault:
        """Answer 503 with a web page."""
        page = b"<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body>"
        return self._make(FaultKind.HTML, more, status=503, body=page)

    def xml_unauthorized(self, **more: Any) -> Fault:
        """Answer 401 in XML."""
        body = xml_fault(3200, "Token expired", status=401, name="AuthenticationFailed", kind="AUTHENTICATION")
        return self._make(FaultKind.REFUSE, more, status=401, body=body, content_type="application/xml")

    def token_expired(self, *, leading_zeros: bool = False, **more: Any) -> Fault:
        """Answer 401 with the gateway's lowercase fault 3200."""
        detail = "Token expired: access token has passed its lifetime"
        return self.gateway(3200, detail, leading_zeros=leading_zeros, **more)

    def not_authorized(self, **more: Any) -> Fault:
        """Answer 403 with the gateway's 3100: wrong realm, host or app, or the app was disconnected."""
        return self.gateway(3100, "", status=403, name="ApplicationAuthorizationFailed", **more)

    def gateway(
        self, code: int, detail: str = "", *, status: int = 401, name: str = "AuthenticationFailed",
        leading_zeros: bool = False, **more: Any,
    ) -> Fault:  # fmt: skip
        """Answer any lowercase fault of the gateway."""
        body = gateway_fault(code, detail, status=status, name=name, leading_zeros=leading_zeros)
        return self._refuse(status, body, more)

    def service(
        self, code: int, detail: str = "", *, status: int = 400, message: str | None = None,
        kind: str = "ValidationFault", leading_zeros: bool = False, **more: Any,
    ) -> Fault:  # fmt: skip
        """Answer any capital Fault of the service, having done nothing."""
        body = fault(code, detail, message=message, kind=kind, leading_zeros=leading_zeros)
        return self._refuse(status, {"Fault": body, "time": _TIME}, more)

    def fault_in_ok(self, code: int = 6000, detail: str = "Business Validation Error", **more: Any) -> Fault:
        """Answer HTTP 200 with a Fault inside, having done nothing."""
        return self.service(code, detail, status=200, **more)

    def general_authentication(self, **more: Any) -> Fault:
        """Answer 401 with code 100: a token that is not valid for this company or host."""
        more.setdefault("message", "message=SRV-110-Authentication Failure ; errorCode=100; statusCode=401")
        return self.service(100, "AuthenticationErrorGeneral", status=401, kind="AuthenticationFault", **more)

    def admin_removed(self, **more: Any) -> Fault:
        """Answer 401 with code 120: the administrator who connected the app lost access."""
        detail = "AuthorizationFailure: --11014-You do not have access to use QuickBooks Online Plus."
        more.setdefault("message", "Authorization Failure")
        return self.service(120, detail, status=401, kind="AuthorizationFault", **more)

    def subscription_lapsed(self, **more: Any) -> Fault:
        """Answer 6190: the company is read-only, since its subscription has ended."""
        detail = "Subscription period has ended or been canceled, or there was a billing problem : You can't add data."
        return self.service(6190, detail, **({"route": WRITES} | more))

    def maintenance(self, **more: Any) -> Fault:
        """Answer 503 with code 150: the company is under maintenance."""
        return self.service(150, "CompanyUnderMaintenance", status=503, kind="SystemFault", **more)

    def system_failure(self, *, after: bool = False, status: int = 500, **more: Any) -> Fault:
        """Answer code 10000, having done nothing, or with `after` having done the work."""
        body = {"Fault": fault(10000, "An unexpected error occurred", kind="SystemFault"), "time": _TIME}
        kind = FaultKind.FAIL_AFTER if after else FaultKind.FAIL_BEFORE
        return self._make(kind, more, status=status, body=dump(body).encode())

    def duplicate_name(self, detail: str = "The name supplied already exists. : null", **more: Any) -> Fault:
        """Answer 6240 with any Detail, whether or not the name is taken."""
        return self.service(6240, detail, **({"route": WRITES} | more))

    def lost_answer(self, **more: Any) -> Fault:
        """Do the work and cut the connection."""
        return self._make(FaultKind.DROP_AFTER, {"route": WRITES} | more)

    def lost_request(self, **more: Any) -> Fault:
        """Cut the connection, having done nothing."""
        return self._make(FaultKind.DROP_BEFORE, {"route": WRITES} | more)

    def hang(self, *, after: bool = False, **more: Any) -> Fault:
        """Keep the caller waiting for Intuit's 120 seconds, then cut, having done nothing or (`after`) the work."""
        return self._make(FaultKind.HANG_AFTER if after else FaultKind.HANG_BEFORE, {"seconds": 120.0} | more)

    def refresh_lost(self, **more: Any) -> Fault:
        """Rotate the refresh token and cut the connection before the new one arrives."""
        return self._make(FaultKind.DROP_AFTER, {"route": TOKEN} | more)

    def token_server_down(self, **more: Any) -> Fault:
        """Answer token requests with an HTML 503."""
        return self.html_unavailable(**({"route": TOKEN} | more))

    def _refuse(self, status: int, body: dict[str, Any], more: dict[str, Any]) -> Fault:
        return self._make(FaultKind.REFUSE, more, status=status, body=dump(body).encode())

    @staticmethod
    def _make(kind: FaultKind, more: dict[str, Any], **fixed: Any) -> Fault:
        return Fault(kind=kind, **({"route": API} | fixed | more))
