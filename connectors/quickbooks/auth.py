"""The tokens of one connection, kept alive: refreshed once however many want it, and saved before they are used.

Intuit takes a second refresh with the same token for an attack and may kill the whole chain
(https://developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/oauth-errors), so a refresh happens once:
one task in this process, the store's lease across processes, and the store read again inside. The task belongs to no
caller: one that is cancelled leaves it running, since a rotated token that is not saved is lost.
"""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

from connectors.base import Host
from connectors.errors import ConfigurationError, NeedsReauthError
from connectors.oauth import Tokens, TokensChangedError, TokenStore
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.endpoint import GrantRefusedError, TokenEndpoint

EARLY = timedelta(minutes=5)
"""An access token with less than this left is renewed before it is used."""
KEEP_ALIVE = timedelta(days=7)
"""An idle connection is refreshed this often: an unused refresh token dies after 100 days."""
SEED_FACT = "quickbooks.refresh_token_used"
_SAVES = 4


class TokenManager:
    """Gives out tokens that work. Many may ask at once; at most one refresh is ever under way."""

    def __init__(self, config: QuickBooksConfig, host: Host, endpoint: TokenEndpoint) -> None:
        self._config, self._host, self._endpoint = config, host, endpoint
        self._tokens: Tokens | None = None
        self._unsaved: Tokens | None = None
        self._renewal: asyncio.Task[Tokens] | None = None

    @property
    def known(self) -> Tokens | None:
        """The tokens last seen by this process, if any."""
        return self._tokens

    @property
    def realm(self) -> str:
        """The company: as configured, else as last seen; empty before."""
        return self._config.realm_id or (self._tokens.realm if self._tokens else "")

    async def access(self, *, refused: str = "") -> Tokens:
        """Return tokens whose access token has some minutes left and is not the one that QuickBooks has `refused`.

        Raises NeedsReauthError where only a person can help, ConfigurationError, UnreachableError, RateLimitedError.
        """
        if self._tokens is not None and self._is_good(self._tokens, refused):
            return self._tokens
        tokens = await self._renewed(refused)
        if tokens.access_token == refused:  # joined a renewal that had begun before the refusal
            tokens = await self._renewed(refused)
        return tokens

    async def keep_alive(self) -> bool:
        """Refresh when the last refresh is a week old, whatever process made it; return whether there are tokens.

        Raises as `access`.
        """
        stored = await self._store.load()
        if stored is not None and stored.refreshed_at is not None:
            if self._host.now() - stored.refreshed_at >= KEEP_ALIVE:
                await self.access(refused=stored.access_token)
        elif stored is not None or self._config.refresh_token is not None:
            await self.access()
        else:
            return False
        return True

    def forget(self) -> None:
        """Drop what this process knows: the store has, or is about to have, the tokens of a new consent."""
        self._tokens = self._unsaved = None

    async def close(self) -> None:
        """Wait for a refresh under way, so that a rotated token is saved before the process ends."""
        if self._renewal is not None:
            await asyncio.wait({self._renewal})

    @property
    def _store(self) -> TokenStore:
        if self._host.tokens is None:
            raise ConfigurationError("the gateway lends this connection no token store")
        return self._host.tokens

    def _is_good(self, tokens: Tokens, refused: str) -> bool:
        if not tokens.access_token or tokens.access_token == refused or tokens.access_expires_at is None:
            return False
        return tokens.access_expires_at - self._host.now() > EARLY

    async def _renewed(self, refused: str) -> Tokens:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew(refused), name=f"tokens of {self._host.connection}")
            self._renewal.add_done_callback(_look_at_outcome)
        return await asyncio.shield(self._renewal)

    async def _renew(self, refused: str) -> Tokens:
        async with self._store.exclusive():
            if self._unsaved is not None:
                self._tokens = await self._save(self._unsaved)
            tokens = await self._load()
            if not self._is_good(tokens, refused):
                tokens = await self._refresh(tokens)
            self._tokens = tokens
            return tokens

    async def _load(self) -> Tokens:
        """Return the tokens to go on with: those of the store, or the configured one while it is new to us."""
        stored = await self._store.load()
        tokens = stored
        if self._config.refresh_token is not None and (stored is None or await self._is_new_seed(stored)):
            version = stored.version if stored else 0
            await self._host.memory.put(SEED_FACT, f"{self._seed_mark()}@{version}")
            secret = self._config.refresh_token.get_secret_value()
            tokens = Tokens(refresh_token=secret, realm=self._config.realm_id, version=version)
        if tokens is None or not tokens.refresh_token:
            raise NeedsReauthError("no company is connected yet")
        return self._with_realm(tokens)

    def _with_realm(self, tokens: Tokens) -> Tokens:
        realm = self._config.realm_id or tokens.realm
        if not realm:
            raise ConfigurationError("realm_id is missing: a refresh token alone does not say which company it is for")
        if tokens.realm and tokens.realm != realm:
            raise ConfigurationError("the stored tokens are of another company than realm_id says")
        return replace(tokens, realm=realm)

    async def _is_new_seed(self, stored: Tokens) -> bool:
        """Whether the configured refresh token has not been used yet: an old one must never replace what was rotated.

        The note of its use is made before the use, with the store's version: a save since then means that it succeeded.
        """
        mark, _, version = (await self._host.memory.get(SEED_FACT) or "").partition("@")
        return mark != self._seed_mark() or stored.version <= int(version)

    def _seed_mark(self) -> str:
        """Return what remembers the configured refresh token without being it."""
        token = self._config.refresh_token
        return hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:32] if token else ""

    async def settle_seed(self) -> None:
        """Note that the configured refresh token has had its time: it is dead, or a person has connected since."""
        if self._config.refresh_token is not None:
            await self._host.memory.put(SEED_FACT, f"{self._seed_mark()}@-1")

    async def _refresh(self, old: Tokens) -> Tokens:
        try:
            return await self._rotate(old)
        except GrantRefusedError as refusal:
            return await self._after_refusal(old, refusal)

    async def _rotate(self, old: Tokens) -> Tokens:
        self._unsaved = await self._endpoint.refresh(old)
        return await self._save(self._unsaved)

    async def _after_refusal(self, old: Tokens, refusal: GrantRefusedError) -> Tokens:
        """Look once whether the store has other tokens, then give up: more tries look like an attack to Intuit."""
        seed = self._config.refresh_token
        if seed is not None and seed.get_secret_value() == old.refresh_token:
            await self.settle_seed()
        stored = await self._store.load()
        if stored is not None and stored.refresh_token not in {"", old.refresh_token}:
            stored = self._with_realm(stored)
            if self._is_good(stored, ""):
                return stored
            try:
                return await self._rotate(stored)
            except GrantRefusedError as second:
                refusal = second
        raise NeedsReauthError(
            "Intuit refused the refresh token", provider_code="invalid_grant", provider_request_id=refusal.request_id
        )

    async def _save(self, tokens: Tokens) -> Tokens:
        """Save, or take what somebody else has saved meanwhile: a person who has connected again."""
        for attempt in range(1, _SAVES + 1):
            try:
                saved = await self._store.save(tokens)
            except TokensChangedError:
                newer = await self._store.load()
                self._unsaved = None
                if newer is None:
                    raise NeedsReauthError("the connection was disconnected") from None
                return replace(newer, realm=newer.realm or tokens.realm)
            except Exception:
                # What is not saved here is lost for ever, and the store may be back in a moment.
                if attempt == _SAVES:
                    raise
                await self._host.sleep(0.5 * 2**attempt)
            else:
                self._unsaved = None
                return saved
        raise AssertionError("the loop ends with tokens or raises")


def _look_at_outcome(task: asyncio.Task[Tokens]) -> None:
    """Take note of an error which no caller has waited for: the next caller meets it again."""
    if not task.cancelled():
        task.exception()
