"""QuickBooks' accounting API: authorised requests, their errors sorted, rows read page by page.

https://developer.intuit.com/app/developer/qbo/docs/learn/rest-api-features
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from connectors.base import Host
from connectors.errors import (
    AccountBlockedError,
    AuthenticationError,
    LookupImpossibleError,
    NeedsReauthError,
    ProviderError,
    RateLimitedError,
    UnexpectedResponseError,
    UnreachableError,
)
from connectors.http import JsonApi, Reply
from connectors.oauth import Tokens
from connectors.quickbooks.auth import TokenManager
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.faults import REQUEST_ID_HEADER, classifier
from connectors.quickbooks.privacy import texts_in
from connectors.quickbooks.queries import MOST_ROWS, select
from connectors.quickbooks.throttle import ThrottleWatch

MINOR_VERSION = "75"
"""Both the oldest and the newest: the others were switched off in August 2025."""
MOST_PAGES = 20
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

Row = Mapping[str, Any]
Keep = Callable[[Row], bool]


class QuickBooksApi:
    """The API of one company. Every method raises ConnectorError kinds."""

    def __init__(self, config: QuickBooksConfig, host: Host, tokens: TokenManager) -> None:
        self._tokens = tokens
        self._watch = ThrottleWatch(host)
        self._api = JsonApi(
            host, config.api_address, request_id_header=REQUEST_ID_HEADER, timeout=config.timeout_seconds
        )

    @property
    def realm(self) -> str:
        """The company, as far as it is known by now."""
        return self._tokens.realm

    async def read(self, path: str, *, tokens: Tokens | None = None, include: str = "") -> Row:
        """Return what is at a path below the company. `tokens` are used instead of the stored ones, and as they are.

        `include` asks for what an answer leaves out otherwise. Fractions come as decimals, here and everywhere.
        """
        more = f"&include={quote(include, safe='')}" if include else ""
        return await self._read(f"{path}?minorversion={MINOR_VERSION}{more}", tokens)

    async def rows(
        self, entity: str, *conditions: str, columns: str = "*", order: str = "Id", keep: Keep = lambda _: True
    ) -> list[Row]:
        """Return all records that meet the conditions and are to `keep`, inactive ones only where a condition says so.

        Raises LookupImpossibleError where 20 pages of 1000 are not all: half an answer must not pass for a whole one.
        """
        kept: list[Row] = []
        for page in range(MOST_PAGES):
            statement = select(entity, *conditions, columns=columns, order=order, start=1 + page * MOST_ROWS)
            rows = await self._query(entity, statement)
            kept += filter(keep, rows)
            if len(rows) < MOST_ROWS:
                return kept
        raise LookupImpossibleError(f"more than {MOST_PAGES * MOST_ROWS} records of QuickBooks would have to be read")

    async def _query(self, entity: str, statement: str) -> list[Row]:
        # Encoded whole: what aiohttp would do by itself leaves quotes raw and writes blanks as plus signs.
        body = await self._read(f"query?query={quote(statement, safe='')}&minorversion={MINOR_VERSION}", None)
        found = body.get("QueryResponse")
        if not isinstance(found, Mapping):
            raise UnexpectedResponseError("the answer to a query holds no QueryResponse")
        rows = found.get(entity, [])
        records = [_record(row) for row in rows] if isinstance(rows, list) else [None]
        if None in records:
            raise UnexpectedResponseError("the answer to a query holds no list of records with Ids")
        return [record for record in records if record is not None]

    async def _read(self, target: str, tokens: Tokens | None) -> Row:
        try:
            reply = await (self._authorised("GET", target) if tokens is None else self._send(tokens, "GET", target))
        except RateLimitedError as error:
            if await self._watch.refused():
                raise AccountBlockedError(
                    "QuickBooks has refused every read for an hour: the app's calls of this month are used up",
                    provider_code=error.provider_code,
                    provider_request_id=error.provider_request_id,
                ) from error
            raise
        await self._watch.passed()
        return _object(reply)

    async def write(
        self, path: str, body: Mapping[str, Any], *, request_id: str | None = None, operation: str = ""
    ) -> Row:
        """Send a body once; a second time only when QuickBooks says that the access token was too old (401).

        The bytes are ASCII: Intuit reads the bodies of some companies as Latin-1 and of others as UTF-8. Decimals are
        written as they are, to the last digit.
        """
        query = {"minorversion": MINOR_VERSION}
        query |= ({"operation": operation} if operation else {}) | ({"requestid": request_id} if request_id else {})
        target = f"{path}?{urlencode(query)}"
        return _object(await self._authorised("POST", target, encoded(body), private=texts_in(body)))

    async def _authorised(
        self, method: str, target: str, content: bytes | None = None, *, private: Iterable[str] = ()
    ) -> Reply:
        tokens = await self._tokens.access()
        try:
            return await self._send(tokens, method, target, content, private=private)
        except AuthenticationError:
            tokens = await self._tokens.access(refused=tokens.access_token)
        try:
            return await self._send(tokens, method, target, content, private=private)
        except AuthenticationError as error:
            raise NeedsReauthError(
                f"QuickBooks refuses a new access token as well: {error.detail}",
                provider_code=error.provider_code,
                provider_request_id=error.provider_request_id,
            ) from error

    async def _send(
        self, tokens: Tokens, method: str, target: str, content: bytes | None = None, *, private: Iterable[str] = ()
    ) -> Reply:
        return await self._api.request(
            method,
            f"/v3/company/{tokens.realm}/{target}",
            body=content,
            headers={"Authorization": f"Bearer {tokens.access_token}"},
            classify=classifier(private),
        )


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a body as JSON in ASCII, its decimals as numbers with just their own digits."""
    text = orjson.dumps(body, default=_number).decode()
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text).encode("ascii")


def _number(value: object) -> orjson.Fragment:
    if not isinstance(value, Decimal) or not value.is_finite():
        msg = f"{type(value).__name__} cannot be sent"
        raise TypeError(msg)
    return orjson.Fragment(f"{value:f}")


@contextmanager
def before_writing(what: str) -> Iterator[None]:
    """Tell a failure of what comes before a create as one that left nothing in doubt (UnreachableError)."""
    try:
        yield
    except ProviderError as error:
        raise UnreachableError(
            f"{what} could not be read: {error}", retry_after=error.retry_after,
            provider_code=error.provider_code, provider_request_id=error.provider_request_id,
        ) from error  # fmt: skip


def _object(reply: Reply) -> Row:
    request_id = reply.headers.get(REQUEST_ID_HEADER)
    try:
        body = reply.exact_json()
    except UnexpectedResponseError as error:
        error.provider_request_id = request_id
        raise
    if not isinstance(body, Mapping):
        raise UnexpectedResponseError("the answer is no JSON object", provider_request_id=request_id)
    return body


def record_in(body: Row, entity: str) -> Row:
    """Return the record of an answer. Raises UnexpectedResponseError when it has none, or one without an Id."""
    record = _record(body.get(entity))
    if record is None:
        raise UnexpectedResponseError(f"the answer holds no {entity} with an Id")
    return record


def _record(row: Any) -> Row | None:
    """Return a record with its Id as text, None for what has no Id."""
    key = row.get("Id") if isinstance(row, Mapping) else None
    if isinstance(key, int) and not isinstance(key, bool):
        return {**row, "Id": str(key)}
    return row if isinstance(key, str) and key else None
