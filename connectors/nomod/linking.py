"""Payment links in Nomod: found by their mark, created once, switched off. There is no idempotency key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from connectors.errors import (
    ConnectorError,
    LookupImpossibleError,
    NotOfferedError,
    RejectedError,
    StaleRecordError,
    UnexpectedResponseError,
)
from connectors.http import JsonApi, Reply
from connectors.links import CreatedLink, LinkCandidate, PaymentLinkRequest
from connectors.models import CreateIntent
from connectors.nomod.errors import Refusal, classify_create, names_nobody, read_refusal
from connectors.nomod.invoices import Terms
from connectors.nomod.invoicing import not_offered
from connectors.nomod.links import LINK_FIELDS, draft_link, marked, read_link
from connectors.nomod.paging import Listing, RefusedQueryError, TooManyRowsError, walk
from connectors.nomod.rows import RECORD_ID, readable_id, unwrapped

LINKS = "/v1/links"


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    fields: Mapping[Any, Any]

    @classmethod
    def read(cls, value: object) -> "_Row":
        if not isinstance(value, Mapping):
            raise UnexpectedResponseError("a link in the answer is no object")
        return cls(readable_id(value), value)


LISTING = Listing(path=LINKS, noun="links", read=_Row.read, absent=not_offered)


class LinkMaking:
    """The payment links of one connection."""

    def __init__(self, api: JsonApi, terms: Terms) -> None:
        self._api, self._terms = api, terms

    async def find(self, request: PaymentLinkRequest) -> Sequence[LinkCandidate]:
        """Return the links that carry the request's mark, each read by its id.

        What `search` looks at is written nowhere: the links of the currency are all read, and compared here. Raises
        NotOfferedError, LookupImpossibleError.
        """
        try:
            rows = await self._rows(request.currency)
        except TooManyRowsError as error:
            raise LookupImpossibleError(f"{error.args[0]} payment links are too many to read through") from error
        found = [await self._read(row.id, request) for row in rows if marked(row.fields, request)]
        if None in found:
            raise UnexpectedResponseError("a link was listed, and is gone")
        return [each for each in found if each is not None]

    async def _rows(self, currency: str) -> list[_Row]:
        """Return the links of a currency, all links where the API refuses the filter."""
        try:
            return await walk(self._api, {"currency": currency}, listing=LISTING)
        except RefusedQueryError:
            return await walk(self._api, {}, listing=LISTING)

    async def get(self, record: str) -> LinkCandidate | None:
        """Return the link, or None where Nomod says that there is none: an archived one is gone as well."""
        return await self._read(record, None)

    async def create(self, request: PaymentLinkRequest, intent: CreateIntent) -> CreatedLink:
        """Create the link with one POST."""
        del intent  # Nomod has no idempotency key, and nothing in the body depends on the time
        body = draft_link(request, self._terms)
        reply = await self._api.request(
            "POST", LINKS, body=orjson.dumps(body), accept_error=lambda got: got.status != 429
        )  # fmt: skip
        named = [str(body["title"]), str(body["note"])]
        error = _classify(reply, read_refusal(reply, sent=named, fields=LINK_FIELDS))
        if error is not None:
            raise error
        return CreatedLink(record=read_link(unwrapped(reply.exact_json()), request=request))

    async def disable(self, record: str) -> None:
        """Switch the link off; one that is off already is left alone."""
        reply = await self._api.request(
            "PATCH", f"{LINKS}/{quote(record, safe='')}/edit", body=orjson.dumps({"status": "disabled"}),
            accept_error=lambda got: got.status in {400, 404, 409, 422} and got.is_json,
        )  # fmt: skip
        if reply.status < 400:
            return
        now = await self.get(record)
        if now is None:
            raise StaleRecordError(f"Nomod has no link {record}")
        if now.active:
            raise RejectedError(f"HTTP {reply.status}: Nomod does not switch the link off")

    async def _read(self, record: str, request: PaymentLinkRequest | None) -> LinkCandidate | None:
        if not RECORD_ID.fullmatch(record):
            return None
        reply = await self._api.request(
            "GET", f"{LINKS}/{quote(record, safe='')}", accept_error=lambda got: names_nobody(got, record)
        )
        if reply.status >= 400:
            return None
        found = read_link(unwrapped(reply.exact_json()), request=request)
        if found.provider_entity_id.casefold() != record.casefold():
            raise UnexpectedResponseError("another link came back than the one asked for")
        return found


def _classify(reply: Reply, refusal: Refusal) -> ConnectorError | None:
    """Sort the answer to a create. Refusals in JSON are definite: nothing was created."""
    if not_offered(reply):
        return NotOfferedError(f"HTTP {reply.status} for {LINKS}")
    return classify_create(reply, refusal)
