"""Identifiers: in the order of time, and never the same, whichever process has drawn them."""

import os
from datetime import UTC, datetime, timedelta

from storage.ids import new_id

NOW = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)


def test_newer_ones_sort_later_and_equal_times_give_different_ones() -> None:
    drawn = {new_id("dlv", NOW) for _ in range(1000)}
    assert len(drawn) == 1000
    assert {len(one) for one in drawn} == {len("dlv_") + 32}
    assert max(drawn) < new_id("dlv", NOW + timedelta(milliseconds=1))


def test_a_process_that_was_forked_draws_its_own() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id("dlv", NOW).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != new_id("dlv", NOW)
    os.close(reading)
    os.close(writing)
