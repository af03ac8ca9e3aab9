"""When a create whose answer was lost is looked for or repeated; and the customer as it was when the create began."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.models import Address, Candidate, Customer, MatchPolicy, Recovery
from gateway.pipeline.creating import GUARD_SECONDS, confirming_look, next_look, next_try, wait_for_equal
from gateway.pipeline.matching import Adopt, Ask, judge_hint
from gateway.pipeline.snapshots import decision_in, digest, from_snapshot, guards, to_snapshot, with_decision
from storage.records import Intent, MappingKey

BEGUN = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)
LOOKS = Recovery(lookups=(5.0, 20.0, 60.0))
REPLAYS = Recovery(lookups=(5.0, 20.0, 60.0), replay_window=timedelta(minutes=10))


def intent(*, looked: float | None = None, snapshot: object = None) -> Intent:
    return Intent(
        intent_id="int_1", key=MappingKey(source="s", entity_type="customer", entity_id="c", connection="n"),
        idempotency_key="k", epoch=0, variant=0, attempt=1, snapshot=snapshot, digest="d", started_at=BEGUN,
        looked_at=None if looked is None else BEGUN + timedelta(seconds=looked),
    )  # fmt: skip


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - BEGUN).total_seconds()


STEPS = [
    (None, 5), (-3, 5), (4.9, 5), (5, 20), (5.1, 20), (19, 20), (21, 60), (59.9, 60), (60, None), (9e9, None),
]  # fmt: skip


@pytest.mark.parametrize("looked,due", STEPS)
def test_the_next_look_is_the_first_step_that_no_complete_look_up_has_reached(
    looked: float | None, due: float | None
) -> None:
    assert seconds(next_look(intent(looked=looked), LOOKS)) == due


@given(
    steps=st.lists(st.integers(1, 86_400), min_size=1, max_size=10, unique=True).map(sorted),
    looked=st.integers(0, 100_000),
)
def test_absence_is_proven_by_no_look_up_before_the_last_step(steps: list[int], looked: int) -> None:
    due = seconds(next_look(intent(looked=looked), Recovery(lookups=tuple(map(float, steps)))))
    assert due == next((step for step in steps if step > looked), None)


@pytest.mark.parametrize(
    "before,at,again", [(20, 60, None), (19, 61, None), (None, 3600, 3640), (50, 3600, None), (3590, 3600, 3640)]
)
def test_a_look_up_that_comes_alone_after_the_end_of_the_schedule_is_confirmed_by_another(
    before: float | None, at: float, again: float | None
) -> None:
    """The process was away, or its clock was set forth: it has not waited for what the provider may still hide."""
    moment = BEGUN + timedelta(seconds=at)
    assert seconds(confirming_look(intent(looked=before), LOOKS, at=moment, looking=3600.0)) == again
    only = Recovery(lookups=(5.0,))
    assert confirming_look(intent(), only, at=moment, looking=0.0) is None  # it is all that was asked


@pytest.mark.parametrize("looking,again", [(0.0, 3640), (19.0, 3640), (20.0, None)])
def test_time_by_which_the_clock_was_set_forth_is_no_time_of_looking(looking: float, again: float | None) -> None:
    moment = BEGUN + timedelta(seconds=3600)
    assert seconds(confirming_look(intent(looked=60), LOOKS, at=moment, looking=looking)) == again


@pytest.mark.parametrize("elapsed,at", [(0, 5), (4, 5), (6, 20), (30, 60), (61, 61)])
def test_after_a_lost_answer_without_replay_the_job_comes_back_for_the_next_look(elapsed: float, at: float) -> None:
    assert seconds(next_try(intent(), LOOKS, now=BEGUN + timedelta(seconds=elapsed))) == at


@pytest.mark.parametrize("elapsed,wait", [(-50, 2), (0, 2), (1, 2), (8, 8), (29, 29), (300, 30)])
def test_after_a_lost_answer_with_replay_it_comes_back_soon_and_later_each_time(elapsed: float, wait: float) -> None:
    assert seconds(next_try(intent(), REPLAYS, now=BEGUN + timedelta(seconds=elapsed))) == elapsed + wait


@given(attempts=st.integers(0, 10_000))
def test_who_waits_for_an_equal_customer_comes_back_soon_and_never_much_later(attempts: int) -> None:
    result = wait_for_equal(attempts=attempts, now=BEGUN)
    wait = seconds(result.next_attempt_at)
    assert wait is not None
    assert GUARD_SECONDS[0] / 2 <= wait <= GUARD_SECONDS[1]
    assert not result.burn


TEXTS = {field.name: st.text(max_size=8) for field in fields(Customer) if field.type is str or field.type == "str"}
CUSTOMERS = st.builds(
    Customer, **TEXTS, address=st.none() | st.builds(Address, line1=st.text(max_size=8), country=st.text(max_size=2)),
    metadata=st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2),
)  # fmt: skip


@given(customer=CUSTOMERS, review=st.none() | st.text(max_size=8))
def test_a_customer_comes_back_from_its_snapshot_with_or_without_a_decision(
    customer: Customer, review: str | None
) -> None:
    snapshot = with_decision(to_snapshot(customer), review)
    assert from_snapshot(snapshot) == customer
    assert decision_in(intent(snapshot=snapshot)) == review
    assert digest(to_snapshot(customer)) == digest(to_snapshot(from_snapshot(snapshot)))


def test_an_intent_without_a_snapshot_carries_no_decision() -> None:
    assert decision_in(None) is None
    assert decision_in(intent()) is None


def person(**more: Any) -> Customer:
    known: dict[str, Any] = {"source": "s", "platform": "flexprice", "environment_id": "prod", "customer_id": "c"}
    return Customer(**{**known, **more})


def test_guards_are_shared_by_equal_customers_and_tell_nothing() -> None:
    ada = person(name="Ada  Lovelace", email="ADA@example.com")
    same = person(name="ada lovelace", email=" ada@example.com")
    assert guards(ada) == guards(same)
    assert set(guards(ada)) & set(guards(person(name="Ada", email="ada@example.com")))
    assert guards(person()) == ()
    assert "ada" not in "".join(guards(ada)).lower()


@pytest.mark.parametrize(
    "record,follows",
    [
        ({"name": "Ada Lovelace", "emails": ("ada@example.com",)}, Adopt),
        ({"name": "Somebody", "emails": ("ADA@example.com",)}, Adopt),
        ({"name": "ada lovelace", "emails": ("old@example.com",)}, Adopt),
        ({"name": "Lovelace", "emails": ()}, Adopt),
        ({"name": "", "emails": ()}, Adopt),
        ({"name": "Bob", "emails": ("bob@example.com",), "marker": "s:c"}, Adopt),
        ({"name": "Bob", "emails": ("bob@example.com",)}, Ask),
        ({"name": "Bob", "emails": ()}, Ask),
        ({"name": "", "emails": ("bob@example.com",)}, Ask),
        ({"name": "Ada Lovelace", "emails": ("ada@example.com",), "marker": "s:other"}, type(None)),
        ({"name": "Ada Lovelace", "emails": ("ada@example.com",), "active": False}, type(None)),
        ({"name": "Ada Lovelace", "emails": ("ada@example.com",), "adoptable": False}, type(None)),
    ],
)
def test_a_hint_is_followed_asked_about_or_worth_nothing(record: dict[str, Any], follows: type) -> None:
    candidate = Candidate(provider_entity_id="1", **record)
    ada = person(name="Ada Lovelace", email="ada@example.com")
    assert type(judge_hint(ada, candidate, policy=MatchPolicy(), taken={})) is follows
    assert judge_hint(ada, candidate, policy=MatchPolicy(), taken={"1": "s:other"}) is None
