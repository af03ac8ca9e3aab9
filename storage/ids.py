"""Identifiers: a prefix that says what it is, then time and randomness, so that newer ones sort later."""

import os
import random
import uuid
from datetime import datetime

_RANDOM_BITS = 80
_CHANCE = random.Random()  # noqa: S311 - unique, not secret; the system's own source lets go of the interpreter each time
os.register_at_fork(after_in_child=_CHANCE.seed)
_NAMESPACE = uuid.UUID("8f0f6a51-9d0b-5a0e-8d5c-6a7c1a3f2b10")


def new_id(prefix: str, now: datetime) -> str:
    """Return an identifier such as `dlv_0199…`: 12 hexadecimal digits of milliseconds, 20 of randomness."""
    return f"{prefix}_{int(now.timestamp() * 1000):012x}{_CHANCE.getrandbits(_RANDOM_BITS):020x}"


def idempotency_key(seed: str, *, epoch: int, variant: int, attempt: int) -> str:
    """Return the key of one create: 36 characters, the same whenever the same create is repeated."""
    return str(uuid.uuid5(_NAMESPACE, f"{seed}|e{epoch}|r{variant}|a{attempt}"))
