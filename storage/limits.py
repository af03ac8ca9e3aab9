"""How much a store keeps and lets wait. The same in every backend."""

from datetime import timedelta

MAX_BATCH = 512
"""Pieces of work and deliveries in one transaction."""
MAX_WAITING_DELIVERIES = 8192
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Deliveries in memory that wait for the disk; beyond that the door answers 503."""

KEPT_REJECTIONS = 20
"""Refused requests kept of one source."""
MAX_REJECTIONS = 2000
"""Refused requests kept of all sources together."""
MAX_REJECTION_COUNTS = 2000
"""Pairs of source and reason that are counted."""

CLOCK_SKEW = timedelta(seconds=5)
"""By how much the clocks of several nodes may differ: leases and guards are of that much more care."""

MAX_WAITING_MESSAGES = 500
"""Alert messages that wait for one channel. More than that nobody reads, and an endpoint that is gone takes none."""

MAX_LOOKED = 20_000
"""Rows that a list looks through for one page, where no index knows which of them are wanted."""
LONG_AS_AN_ID = 20
"""Letters from which on a text that is a customer's id is meant as one, and not as part of a name."""
