"""Histories drawn by Hypothesis, judged by the invariants. `python -m tests.histories` plays ten thousand of them.

They are the same in every run, so that a change is judged by what it changes; a thorough run draws new ones, and more.
"""

import asyncio

import pytest
from hypothesis import settings

from tests.histories.ground import Ground
from tests.histories.play import play, replay
from tests.postgres_setup import NewDatabase

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

THOROUGH = settings.get_current_profile_name() == "thorough"
ON_SQLITE, ON_POSTGRES = (300, 50) if THOROUGH else (200, 20)

FOUND = {
    "the clock is set forth while a job is claimed and claimed again": """
        state.begin(filter_mode='search', lag=0.0, query_lag=0.0, request_ids='off', detail='null',
                    name='Ada Lovelace', email='c@example.org', two=False)
        state.time_passes(seconds=90000.0)
        state.give(donor='user_1', name="O'Connor: Sons", email='ADA@example.com')
        state.announce_all_at_once()
        state.clock_is_set(seconds=3600.0)
        state.clock_is_set(seconds=3600.0)
    """,
    "an invoice is voided while its customer is being created": """
        state.begin(filter_mode='ignored', lag=0.0, query_lag=400.0, request_ids='forget', detail='null',
                    name="O'Connor: Sons", email='c@example.org', two=False)
        state.replay(delivery=3)
        state.another_gateway()
        state.void(invoice=6)
        state.clock_is_set(seconds=3600.0)
        state.move(customer=5, email='ADA@example.com')
        state.give(donor=None, name='Front Office', email='d@example.org')
    """,
    "the clock is set forth right after a create, and the provider shows its record only later": """
        state.begin(filter_mode='ignored', lag=15.0, query_lag=400.0, request_ids='off', detail='id',
                    name='Ada Lovelace', email='office@example.com', two=False)
        state.sign_up(name='Ada Lovelace', email='ADA@example.com')
        state.clock_is_set(seconds=-900.0)
        state.operator()
        state.clock_is_set(seconds=3600.0)
        state.operator()
    """,
    "the clock is set forth twice after a lost create, and the provider shows its record later": """
        state.begin(tax=0, query_lag=0.0, gifts='daily_deposit', detail='text', request_ids='forget',
                    email='ADA@example.com', filter_mode='search', two=True, name='Front Office', lag=400.0)
        state.power_cut()
        state.sign_up(email='d@example.org', name='Ada Lovelace')
        state.sign_up(email='ada@example.com', name='Front Office')
        state.clock_is_set(seconds=3600.0)
        state.announce_all_at_once()
        state.operator(adopts=True)
        state.announce_all_at_once()
        state.clock_is_set(seconds=3600.0)
        state.another_gateway()
    """,
    "a customer is put away in QuickBooks before its second invoice, and a person decides": """
        state.begin(filter_mode='email', lag=0.0, detail='text', request_ids='replay', name='Ada Lovelace',
                    email='ada@example.com', two=False, query_lag=0.0)
        state.time_passes(seconds=3600.0)
        state.void(invoice=0, told=True)
        state.time_passes(seconds=3600.0)
        state.put_away_in_quickbooks(record=0)
        state.finalize(customer=0)
    """,
    "a customer's record goes to a donor who is called as it was, and a person decides": """
        state.begin(name='Ada Lovelace', request_ids='forget', query_lag=400.0, gifts='off', lag=0.0,
                    email='c@example.org', two=False, detail='text', tax=5, filter_mode='ignored')
        state.time_passes(seconds=700.0)
        state.rename(customer=6, name="O'Connor: Sons")
        state.move(customer=4, email='d@example.org')
        state.unlinked(connection='nomod-prod', customer=2)
        state.give(donor='user_1', email='c@example.org', name='Ada Lovelace', times=2)
    """,
}
"""Histories in which something went wrong once."""


def test_whatever_happens_in_whatever_order_nothing_is_lost_and_nobody_doubled() -> None:
    with Ground() as ground:
        play(ground, ON_SQLITE, always_the_same=not THOROUGH)


@pytest.mark.parametrize("steps", FOUND.values(), ids=FOUND.keys())
def test_what_went_wrong_once_goes_well(steps: str) -> None:
    with Ground() as ground:
        replay(ground, steps)


@pytest.mark.postgres
async def test_the_same_on_postgres(new_database: NewDatabase) -> None:
    url = await new_database()

    def live() -> None:
        with Ground(postgres=url) as ground:
            play(ground, ON_POSTGRES, always_the_same=not THOROUGH)

    await asyncio.to_thread(live)
