"""Who calls the API: the key, and the tenant and environment that the call is about."""

from aiohttp import hdrs, web

from gateway import keys
from gateway.access import Caller
from gateway.errors import KeyMissingError, RequestInvalidError, TooManyRequestsError
from gateway.throttle import Throttle

TENANT = "X-Tenant-ID"
ENVIRONMENT = "X-Environment-ID"
MAX_CHARS = 255
THROTTLE = web.AppKey("throttle", Throttle)
ACTOR = web.RequestKey("actor", str)
"""Who asks, as logs and the audit name them; absent until a key has proven it."""


async def authenticate(request: web.Request) -> Caller:
    """Return the caller.

    Raises KeyMissingError, ForbiddenError for another tenant than the key's, TooManyRequestsError after many wrong keys
    from one address, RequestInvalidError for headers that name no tenant at all.
    """
    key = bearer(request)
    if key is None:
        raise KeyMissingError
    throttle, remote = request.app[THROTTLE], request.remote
    wait = throttle.wait(remote)
    if wait and not throttle.trusts(remote):
        raise TooManyRequestsError(retry_after=wait)
    tenant, environment = _one(request, TENANT), _one(request, ENVIRONMENT)
    try:
        caller = await request.app[keys.ACCESS].caller(key, tenant_id=tenant, environment_id=environment)
    except KeyMissingError:
        throttle.wrong(remote)
        if wait:
            raise TooManyRequestsError(retry_after=wait) from None
        raise
    throttle.right(remote)
    request[ACTOR] = caller.actor
    for name, value in ((TENANT, tenant), (ENVIRONMENT, environment)):
        if value is not None and (len(value) > MAX_CHARS or not value.isprintable()):
            raise RequestInvalidError(f"{name} must be 1 to {MAX_CHARS} printable characters")
    return caller


def bearer(request: web.Request) -> str | None:
    """Return the key of `Authorization: Bearer <key>`, None when there is none, or more than one such header."""
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if len(given) != 1:
        return None
    scheme, _, key = given[0].strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _one(request: web.Request, name: str) -> str | None:
    """Return a header's value, None when it is absent or empty. Raises RequestInvalidError when it stands twice."""
    given = request.headers.getall(name, [])
    if len(given) > 1:
        raise RequestInvalidError(f"{name} stands twice")
    return given[0].strip() or None if given else None
