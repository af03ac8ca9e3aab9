"""Stand-in for the Nomod API on loopback: as strict as its pages say, settable where they say nothing."""

import random
import time
from collections.abc import Callable

from connectors.testing.nomod_api import API_KEY
from connectors.testing.nomod_charges import NomodCharges
from connectors.testing.nomod_customers import Duplicates, FilterMode, Unset

__all__ = ["API_KEY", "Duplicates", "FilterMode", "NomodSimulator", "Unset"]


class NomodSimulator(NomodCharges):
    """The Nomod API: customers, look-up data, invoices, links and charges, with a ledger of each.

    Every option is an attribute too, and may be changed while the service runs.
    """

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        filter_mode: FilterMode = "email",
        duplicates: Duplicates = "accept",
        duplicate_status: int = 400,
        search_lag: float = 0.0,
        refuse_metadata: bool = False,
        unset: Unset = "empty",
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Make a service that knows `api_key`; it listens from `start` on.

        `duplicates="refuse"` answers `customer_already_exists` with `duplicate_status` for an e-mail address that is
        taken. `search_lag` is in seconds of `clock`. `refuse_metadata` answers 400 for the field that the real service
        is believed to drop without a word. `rng` makes ids repeatable.
        """
        super().__init__(api_key=api_key, clock=clock, rng=rng, search_lag=search_lag, host=host, port=port)
        self.filter_mode = filter_mode
        self.duplicates = duplicates
        self.duplicate_status = duplicate_status
        self.refuse_metadata = refuse_metadata
        self.unset = unset
