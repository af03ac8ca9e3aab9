"""Who is logged in: a signed cookie that names a key, and ends by itself, with the key, or with a logout."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets as randomness
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from gateway.access import Access, Caller
from gateway.errors import KeyMissingError
from gateway.secrets import Vault
from storage import Store
from storage.records import Scope

IDLE = timedelta(hours=2)
"""A session ends when nothing was asked for so long."""
LIFE = timedelta(hours=12)
"""A session ends so long after the login, whatever happens."""
RENEW = timedelta(minutes=5)
"""After so long the cookie is written again, with the time at which it was last used."""
MAX_COOKIE = 2048
MAX_ENDED = 200
_PURPOSE = "console sessions"
_OWNER = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser's visit. `reference` names the key, empty before the login; the tenant is the admin key's choice."""

    sid: str
    reference: str
    begun: int
    """Seconds since 1970 at which it began, and at which it was last used."""
    used: int
    tenant_id: str | None = None
    environment_id: str | None = None


class Sessions:
    """Makes, reads and ends sessions. The signing key comes from the secret key, so that all nodes know them."""

    def __init__(self, *, vault: Vault, access: Access, store: Store, now: Callable[[], datetime]) -> None:
        self._vault, self._access, self._store, self._now = vault, access, store, now
        self._ending = asyncio.Lock()

    def open(self, reference: str = "", *, scope: Scope | None = None) -> Session:
        """Return a new session; without a reference, that of a visitor who has not logged in."""
        at = int(self._now().timestamp())
        return Session(
            sid=randomness.token_urlsafe(18), reference=reference, begun=at, used=at,
            tenant_id=scope.tenant_id if scope else None, environment_id=scope.environment_id if scope else None,
        )  # fmt: skip

    def choose(self, session: Session, scope: Scope) -> Session:
        """Return the session with another tenant and environment chosen; both None for everywhere."""
        return replace(session, tenant_id=scope.tenant_id, environment_id=scope.environment_id)

    # The cookie --------------------------------------------------------------------------------------------------

    def seal(self, session: Session) -> str:
        """Return the cookie's value."""
        return self.sign("session", orjson.dumps(asdict(session)))

    def read(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie; None when it is forged, of another key, or over."""
        payload = self.unsign("session", cookie)
        if payload is None:
            return None
        try:
            session = Session(**orjson.loads(payload))
        except (TypeError, orjson.JSONDecodeError):
            return None
        now = self._now().timestamp()
        over = now >= session.begun + LIFE.total_seconds() or now >= session.used + IDLE.total_seconds()
        return None if over else session

    def renewed(self, session: Session) -> Session | None:
        """Return the session as used now, None while the cookie is fresh enough."""
        now = int(self._now().timestamp())
        return replace(session, used=now) if now - session.used >= RENEW.total_seconds() else None

    def sign(self, purpose: str, payload: bytes) -> str:
        """Return the payload with a signature that is good for one purpose."""
        return f"{_text(payload)}.{_text(self._mac(purpose, payload))}"

    def unsign(self, purpose: str, signed: str | None) -> bytes | None:
        """Return the payload when the signature is right, else None."""
        if not signed or len(signed) > MAX_COOKIE or signed.count(".") != 1:
            return None
        head, _, tail = signed.partition(".")
        payload, mac = _raw(head), _raw(tail)
        if payload is None or mac is None or not hmac.compare_digest(mac, self._mac(purpose, payload)):
            return None
        return payload

    def _mac(self, purpose: str, payload: bytes) -> bytes:
        key = self._vault.derive(_PURPOSE)
        return hmac.new(key, purpose.encode() + b"|" + payload, hashlib.sha256).digest()

    # Forms -------------------------------------------------------------------------------------------------------

    def token(self, session: Session) -> str:
        """Return what every form of this session carries against cross-site requests."""
        return _text(self._mac("form", session.sid.encode()))

    def is_token(self, session: Session, token: str) -> bool:
        """Whether a form came from this session's own pages."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.token(session).encode())

    # Who it is ---------------------------------------------------------------------------------------------------

    async def caller(self, session: Session) -> Caller:
        """Return who is logged in, in the tenant and environment chosen.

        Raises KeyMissingError before a login, after a logout, and once the key was revoked.
        """
        if not session.reference or session.sid in await self._ended(session.reference):
            raise KeyMissingError
        caller = await self._access.holder(session.reference)
        if not caller.everywhere:
            return caller
        return replace(caller, scope=Scope(tenant_id=session.tenant_id, environment_id=session.environment_id))

    async def end(self, session: Session) -> None:
        """Refuse this session's cookie from now on, on every node and after a restart."""
        if not session.reference:
            return
        async with self._ending:
            now = int(self._now().timestamp())
            ended = {sid: until for sid, until in (await self._ended(session.reference)).items() if until > now}
            ended[session.sid] = session.begun + int(LIFE.total_seconds())
            latest = dict(sorted(ended.items(), key=lambda item: item[1])[-MAX_ENDED:])
            await self._store.put_fact(
                _OWNER, f"ended:{session.reference}", orjson.dumps(latest).decode(), now=self._now()
            )

    async def _ended(self, reference: str) -> dict[str, Any]:
        """Return the sessions of a key that were ended, with the times until which that must be remembered."""
        text = await self._store.get_fact(_OWNER, f"ended:{reference}")
        found = orjson.loads(text) if text else {}
        return found if isinstance(found, dict) else {}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
