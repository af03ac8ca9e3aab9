"""Finding customers in QuickBooks: by e-mail address, by every name they may have been given, by marker.

A look-up that fails is never "not found": what cannot be asked ends as LookupImpossibleError unless another, complete
look-up proves the same. Letters beyond U+00FF cannot stand in a query; `%` stands for them and the rows are compared
here, and where too few letters are left the whole list of customers is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from connectors.errors import LookupImpossibleError, PermissionRefusedError, RejectedError
from connectors.models import Candidate, CreateIntent, Customer
from connectors.quickbooks import queries
from connectors.quickbooks.client import QuickBooksApi, Row
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.customers import candidate_of, emails_in, holder_of, holds, is_named, marker_in
from connectors.quickbooks.names import DELETED, Names, names_of

WEAK_PATTERN = 4
"""A pattern with fewer letters would find half the company: then the list is read, or the address decides."""
CLOCK_SLACK = timedelta(minutes=5)
"""How far Intuit's clock may be behind ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for: one customer, and where a create is in doubt its intent."""

    customer: Customer
    names: Names
    intent: CreateIntent | None = None

    @property
    def held(self) -> str:
        """The name that a doubtful or refused create asked for; empty without one."""
        return self.names.display(self.intent.variant) if self.intent else ""

    def has_email(self, row: Row) -> bool:
        """Whether a record has the customer's address."""
        wanted = self.names.email.casefold()
        return bool(wanted) and wanted in {email.casefold() for email in emails_in(row)}

    def has_name(self, row: Row) -> bool:
        """Whether a record has any name that this customer may have been given."""
        return is_named(row, self.names.displays())

    def has_marker(self, row: Row) -> bool:
        """Whether a record says that it is this customer's."""
        notes = row.get("Notes")
        reference = self.customer.reference
        return isinstance(notes, str) and marker_in(notes, wanted=reference) == reference

    def concerns(self, row: Row) -> bool:
        """Whether a record is worth a decision."""
        return self.has_email(row) or self.has_name(row) or self.has_marker(row)


class CustomerFinder:
    """The look-ups of one connection."""

    def __init__(self, config: QuickBooksConfig, api: QuickBooksApi) -> None:
        self._config, self._api = config, api

    async def find(self, customer: Customer, *, intent: CreateIntent | None = None) -> list[Candidate]:
        """Return all records that may be this customer, and with an intent whoever holds the name it asked for."""
        search = Search(customer=customer, names=names_of(customer), intent=intent)
        rows: dict[str, Row] = {}

        def take(found: list[Row]) -> None:
            rows.update((row["Id"], row) for row in found)

        if search.names.email:
            take(await self._by_email(search))
        take(await self._by_name(search))
        if intent is not None:
            take(await self._recent(search, intent))
        held = search.held
        displays = search.names.displays()
        candidates = [
            candidate_of(row, reference=customer.reference, held=held, displays=displays) for row in rows.values()
        ]
        if held and not any(candidate.holds_name for candidate in candidates):
            candidates += await self._other_holders(held)
        return candidates

    async def by_id(self, provider_entity_id: str) -> Row | None:
        """Return a record by its Id with a query, which unlike a read sees inactive records in any company."""
        found = await self._customers(queries.equal("Id", provider_entity_id))
        return found[0] if found else None

    async def _customers(self, *conditions: str, keep: Callable[[Row], bool] = lambda _: True) -> list[Row]:
        return await self._api.rows("Customer", *conditions, queries.EITHER_ACTIVE, keep=keep)

    async def _by_email(self, search: Search) -> list[Row]:
        email, field = search.names.email, "PrimaryEmailAddr"
        found: list[Row] = []
        if queries.is_writable(email):
            found = await self._customers(queries.equal(field, email), keep=search.has_email)
            if found or not self._config.match_multi_email:
                return found
        pattern = f"%{queries.pattern_of(email)}%"
        return await self._customers(queries.like(field, pattern), keep=search.has_email)

    async def _by_name(self, search: Search) -> list[Row]:
        """Search for the names of all variants at once: a record of ours may have any, whatever became of our notes."""
        try:
            return await self._by_writable_name(search)
        except LookupImpossibleError:
            # The address is as good a proof, as long as nothing was sent: names are unique, so that a create is safe.
            if search.names.email and search.intent is None:
                return []
        try:
            return await self._customers(keep=search.concerns)
        except LookupImpossibleError:
            if search.names.email:
                return []
            raise

    async def _by_writable_name(self, search: Search) -> list[Row]:
        names = search.names.displays()
        if all(queries.is_writable(name) for name in names):
            wanted = [text for name in names for text in (name, name + DELETED)]
            return await self._customers(queries.one_of("DisplayName", wanted), keep=search.concerns)
        pattern = queries.pattern_of(search.names.stem) + "%"
        if queries.strength(pattern) < WEAK_PATTERN:
            raise LookupImpossibleError("QuickBooks' query language cannot write enough of this name to search for it")
        return await self._customers(queries.like("DisplayName", pattern), keep=search.concerns)

    async def _recent(self, search: Search, intent: CreateIntent) -> list[Row]:
        """Search what was made since the create began: our marker is found even if name and address changed since."""
        condition = queries.since("MetaData.CreateTime", intent.started_at - CLOCK_SLACK)
        try:
            return await self._customers(condition, keep=search.concerns)
        except LookupImpossibleError:
            return []  # the names and the address have answered; this was a third way to the same record

    async def _other_holders(self, name: str) -> list[Candidate]:
        """Search for the vendor or employee who has the name. Nobody needs to be found: this only names them."""
        if not queries.is_writable(name):
            return []
        condition = queries.one_of("DisplayName", (name, name + DELETED))
        for entity, kind in (("Vendor", "vendor"), ("Employee", "employee")):
            try:
                found = await self._api.rows(
                    entity, condition, queries.EITHER_ACTIVE, columns="Id, DisplayName, Active",
                    keep=lambda row: holds(row, name),
                )  # fmt: skip
            except (PermissionRefusedError, RejectedError, LookupImpossibleError):
                continue  # not every company, plan or person may look there
            if found:
                return [holder_of(row, kind=kind) for row in found]
        return []
