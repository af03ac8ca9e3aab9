"""The switches of the simulated QuickBooks: what Intuit leaves open, decided per test."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum


class RequestIdMode(StrEnum):
    """What becomes of a `requestid` that was used before. How long Intuit remembers one is documented nowhere."""

    REPLAY = "replay"
    """The original answer is given again and nothing is executed."""
    OFF = "off"
    """The parameter is ignored: a repeated create is a second create."""
    FORGET = "forget"
    """As `REPLAY` until `requestid_memory` seconds have gone by, then as `OFF`."""


class DuplicateDetail(StrEnum):
    """The Details seen with error 6240. All carry the same code; only some say who holds the name."""

    TEXT = "text"
    NULL = "null"
    ID = "id"
    """Says the holder's Id, which may be a vendor's or an employee's and then means nothing under `/customer`."""
    FRENCH = "french"
    """As `ID`, with Message and Detail in the language of the company."""


class InactiveNames(StrEnum):
    """What deactivation does to the stored DisplayName. Both were seen; in both the plain name stays taken."""

    KEPT = "kept"
    SUFFIXED = "suffixed"
    """The record is stored as "Ada Lovelace (deleted)"."""


class Rotation(StrEnum):
    """When a refresh answers a new refresh token."""

    ALWAYS = "always"
    """Each time: the strictest reading of Intuit's documents."""
    DAILY = "daily"
    """The same value within 24 hours of its issue, as Intuit does it."""


class Consent(StrEnum):
    """What the administrator answers at the consent page."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(slots=True, kw_only=True)
class Quirks:
    """How this Intuit behaves. Every field may be changed while the simulator runs."""

    clock: Callable[[], float] = time.time
    """Intuit's clock, in seconds since 1970: token lives, limits, request ids, times and the index all follow it."""

    # Request ids and writes.
    requestid_mode: RequestIdMode | str = RequestIdMode.REPLAY
    requestid_memory: float = 600.0
    """Seconds, for `FORGET`."""
    requestid_remembers_refusals: bool = True
    """Whether a 4xx answer is remembered and replayed as well."""
    write_gate: Callable[[], Awaitable[object]] | None = None
    """Awaited before each write is executed: an Event's `wait`, or a sleep. Once admitted, a write is finished even if
    its caller has gone away, and a second request with its id is answered 600 until then.
    """

    # Names, look-ups and text.
    duplicate_detail: DuplicateDetail | str = DuplicateDetail.TEXT
    inactive_names: InactiveNames | str = InactiveNames.KEPT
    query_lag: float = 0.0
    """Seconds for which a query sees the records as they were; a GET by Id sees them at once."""
    email_equals_matches_lists: bool = False
    """Whether `PrimaryEmailAddr = 'b@x.org'` finds a record that holds "a@x.org, b@x.org"."""
    garble_non_latin1: bool = False
    """Whether letters above U+00FF are stored as "?", as was reported of US companies."""
    employee_access: bool = True
    """Whether the connected user may read employees; else 5020."""

    # The company's settings.
    country: str = "US"
    home_currency: str = "USD"
    multicurrency: bool = False
    warn_duplicate_docnum: bool = False
    custom_txn_numbers: bool = False
    allow_discount: bool = False
    """Whether sales forms may have a discount line; else one is refused."""
    payments_enabled: bool = False
    invoice_links: str = "https://pay.example/portal"
    closed_until: date | None = None
    """Transactions dated on or before this day are refused with 6210."""
    sales_tax_rate: Decimal | None = None
    """US automated sales tax, as a fraction: recomputed over the lines coded TAX, whatever total the caller sends."""
    tax_codes: dict[str, Decimal] = field(default_factory=lambda: {"10": Decimal("0.20"), "11": Decimal(0)})
    """Tax code Ids and rates of a company outside the US, where every line must name one."""

    # OAuth.
    rotate: Rotation | str = Rotation.ALWAYS
    revoke_chain_on_reuse: bool = True
    """Whether refreshing with a rotated token kills every token of that consent, as Intuit does on suspected theft."""
    rotated_token_grace: float = 0.0
    """Seconds for which a rotated token still works; Intuit's pages disagree between none and 24 hours."""
    access_token_life: float = 3600.0
    refresh_token_life: float = 100 * 86400.0
    refresh_token_hard_life: float = 5 * 365 * 86400.0
    code_life: float = 600.0
    consent: Consent | str = Consent.ALLOW
