"""Keys of ours in the metadata of a Flexprice customer or invoice, beside everybody else's: read, merge, write, read.

A PUT replaces the whole map and has no version check (https://docs.flexprice.io/api-reference, PUT /customers and
PUT /invoices/{id}); every PUT makes the platform send an event.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.errors import CustomerNotFoundError, InvoiceNotFoundError, SourceRejectedError, SourceUnavailableError
from gateway.sources.platform_api import PlatformApi

METADATA_TRIES = 3
SYSTEM_PREFIX = "_fp_"
CHANGEABLE = frozenset({"DRAFT", "FINALIZED"})
_NO_SUCH_API = ("HTTP 404", "HTTP 405", "HTTP 501")


class NoPlaceError(Exception):
    """The platform has no place for metadata here."""


class Record(ABC):
    """Something at the platform that has metadata."""

    def __init__(self, api: PlatformApi, entity_id: str) -> None:
        self._api, self._id = api, entity_id

    @abstractmethod
    async def read(self) -> Mapping[str, Any]:
        """Return the record. Raises GatewayError kinds, NoPlaceError."""

    @abstractmethod
    async def put(self, metadata: Mapping[str, str]) -> None:
        """Write the whole map. Raises GatewayError kinds, NoPlaceError."""


class Customers(Record):
    """A customer."""

    async def read(self) -> Mapping[str, Any]:
        """Return the customer. Raises CustomerNotFoundError."""
        return await read_customer(self._api, self._id)

    async def put(self, metadata: Mapping[str, str]) -> None:
        """Write the map by the documented PUT, and where nothing takes that, with the id in the path."""
        body = {"metadata": metadata}
        if await self._api.send("PUT", "/customers", body, id=self._id) is None:
            await self._api.send("PUT", f"/customers/{quote(self._id, safe='')}", body)


class Invoices(Record):
    """An invoice; only a draft and a final one can be changed."""

    @property
    def _path(self) -> str:
        return f"/invoices/{quote(self._id, safe='')}"

    async def read(self) -> Mapping[str, Any]:
        """Return the invoice. Raises InvoiceNotFoundError, and NoPlaceError for one that can no longer be changed."""
        found = await self._api.get(self._path)
        if found is None:
            raise InvoiceNotFoundError
        if not isinstance(found, dict) or found.get("id") != self._id:
            raise SourceUnavailableError("the answer is not the invoice that was asked for")
        if str(found.get("invoice_status") or "").upper() not in CHANGEABLE:
            raise NoPlaceError
        return found

    async def put(self, metadata: Mapping[str, str]) -> None:
        """Write the map. Raises NoPlaceError where the deployment has no such call."""
        try:
            answer = await self._api.send("PUT", self._path, {"metadata": metadata})
        except SourceUnavailableError as error:
            if error.detail.startswith(_NO_SUCH_API):
                raise NoPlaceError from error
            raise
        if answer is None:
            raise NoPlaceError


async def read_customer(api: PlatformApi, customer_id: str) -> dict[str, Any]:
    """Read a customer. An answer about nobody, or somebody else, is a failure: written back, it would lose keys."""
    found = await api.get(f"/customers/{quote(customer_id, safe='')}")
    if found is None:
        raise CustomerNotFoundError
    if not isinstance(found, dict) or found.get("id") != customer_id:
        raise SourceUnavailableError("the answer is not the customer who was asked for")
    return found


async def write_merged(record: Record, mine: Mapping[str, str], *, settled: str) -> bool:
    """Merge our keys into the record's metadata; return whether something had to be written.

    The map is read right before the write and again after it, and where another writer's PUT has dropped our keys, they
    are merged into what is there then. Nothing is sent when the key `settled` has our value and the others are there.
    """
    wrote = False
    for _ in range(METADATA_TRIES):
        before = _metadata(await record.read())
        if before.get(settled) == mine[settled] and mine.keys() <= before.keys():
            return wrote
        await _put(record, {**before, **mine})
        wrote = True
    if _metadata(await record.read()).get(settled) != mine[settled]:
        raise SourceUnavailableError("the written metadata does not stay")
    return wrote


async def _put(record: Record, metadata: dict[str, str]) -> None:
    """Write the whole map; versions that keep `_fp_*` keys of their own refuse those in a PUT and keep them."""
    try:
        await record.put(metadata)
    except SourceRejectedError:
        own = {key: value for key, value in metadata.items() if not key.startswith(SYSTEM_PREFIX)}
        if own == metadata:
            raise
        await record.put(own)


def _metadata(found: Mapping[str, Any]) -> dict[str, str]:
    metadata = found.get("metadata")
    return dict(metadata) if isinstance(metadata, dict) else {}
