"""Matching, row by row of docs/matching.md, and what must hold for any candidates at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.models import AdoptOnName, Candidate, Customer, Inactive, MatchOn, MatchPolicy
from gateway.pipeline.matching import Adopt, Ask, Create, match, recovered

ADA = Customer(
    source="s",
    platform="flexprice",
    environment_id="prod",
    customer_id="c1",
    name="Ada Lovelace",
    email="Ada@Example.com",
)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
STRICT, BY_MAIL = MatchPolicy(), MatchPolicy(match=MatchOn.EMAIL)
BY_NAME = MatchPolicy(adopt_on_name=AdoptOnName.IF_NO_CONFLICT)


def record(key: str = "1", name: str = "Ada Lovelace", email: str | None = "ada@example.com", **more: Any) -> Candidate:
    """Return a candidate; `email=None` means that it has none."""
    return Candidate(provider_entity_id=key, name=name, emails=(email,) if email else (), **more)


ROWS = [
    ("nothing there", STRICT, [], "create"),
    ("our mark, even renamed", STRICT, [record(name="X", email=None, marker="s:c1")], "adopted_marker"),
    ("another's mark", STRICT, [record(marker="s:other")], "create"),
    ("one active, same e-mail and name", STRICT, [record()], "adopted_email"),
    ("one active, same e-mail, name contained", STRICT, [record(name="lovelace")], "adopted_email"),
    ("one active, same e-mail, no name", STRICT, [record(name="")], "adopted_email"),
    ("one active, same e-mail, other name, strict", STRICT, [record(name="Bob")], "ask"),
    ("one active, same e-mail, other name, by e-mail", BY_MAIL, [record(name="Bob")], "adopted_email"),
    ("several with the e-mail, one with the name", STRICT, [record(), record("2", "Bob")], "adopted_email"),
    ("several with the e-mail, none with the name", BY_MAIL, [record(name="Bob"), record("2", "Eve")], "ask"),
    ("several with both", STRICT, [record(), record("2")], "ask"),
    ("same name, another e-mail", BY_NAME, [record(email="other@example.com")], "create"),
    ("same name, no e-mail, never", STRICT, [record(email=None)], "create"),
    ("same name, no e-mail, if no conflict", BY_NAME, [record(email=None)], "adopted_name"),
    ("two with the name, if no conflict", BY_NAME, [record(email=None), record("2", email=None)], "ask"),
    ("inactive with the e-mail, parked", STRICT, [record(active=False)], "ask"),
    ("inactive, new", MatchPolicy(inactive=Inactive.NEW), [record(active=False)], "create"),
    ("inactive, reactivate", MatchPolicy(inactive=Inactive.REACTIVATE), [record(active=False)], "adopted_inactive"),
    ("a vendor", STRICT, [record(kind="vendor", adoptable=False)], "create"),
    ("another currency", MatchPolicy(compare_currency=True), [record(currency="EUR")], "create"),
]


@pytest.mark.parametrize("policy, candidates, expected", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_row_of_the_table(policy: MatchPolicy, candidates: list[Candidate], expected: str) -> None:
    """What the bookkeeper reads is what happens."""
    customer = replace(ADA, currency="USD") if policy.compare_currency else ADA
    decision = match(customer, candidates, policy=policy, taken={})
    told = decision.origin if isinstance(decision, Adopt) else {Ask: "ask", Create: "create"}[type(decision)]
    assert told == expected


def test_a_record_of_another_customer_is_left_unless_the_connection_is_shared() -> None:
    """Linked elsewhere is not adoptable; `shared` says otherwise."""
    taken = {"1": "s:other"}
    assert isinstance(match(ADA, [record()], policy=STRICT, taken=taken), Create)
    assert isinstance(match(ADA, [record()], policy=MatchPolicy(shared=True), taken=taken), Adopt)


CANDIDATES = st.lists(
    st.builds(
        record,
        key=st.sampled_from("123"),
        name=st.sampled_from(["Ada Lovelace", "ADA  lovelace", "Ada", "Bob", ""]),
        email=st.sampled_from(["ada@example.com", "ADA@example.com ", "x@example.com", None]),
        active=st.booleans(),
        adoptable=st.booleans(),
        marker=st.sampled_from([None, "s:c1", "s:c2"]),
    ),
    max_size=4,
)
POLICIES = st.builds(
    MatchPolicy,
    match=st.sampled_from(MatchOn),
    adopt_on_name=st.sampled_from(AdoptOnName),
    inactive=st.sampled_from(Inactive),
)


@given(candidates=CANDIDATES, policy=POLICIES, taken=st.sets(st.sampled_from("123")))
def test_whatever_is_found_nothing_of_somebody_else_is_adopted(
    candidates: list[Candidate], policy: MatchPolicy, taken: set[str]
) -> None:
    """Never a linked record, never another's mark, never another kind, never an inactive one silently."""
    decision = match(ADA, candidates, policy=policy, taken=dict.fromkeys(taken, "s:other"))
    if isinstance(decision, Adopt):
        chosen = decision.candidate
        assert chosen in candidates
        assert chosen.provider_entity_id not in taken
        assert chosen.marker in (None, ADA.reference)
        assert chosen.adoptable or chosen.marker == ADA.reference
        assert chosen.active or (decision.reactivate and policy.inactive is Inactive.REACTIVATE)


@given(candidates=CANDIDATES, policy=POLICIES)
def test_the_order_of_what_is_found_does_not_matter(candidates: list[Candidate], policy: MatchPolicy) -> None:
    """First never wins: distinct records in any order give the same decision."""
    distinct = list({c.provider_entity_id: c for c in candidates}.values())
    one = match(ADA, distinct, policy=policy, taken={})
    other = match(ADA, distinct[::-1], policy=policy, taken={})
    assert type(one) is type(other)
    if isinstance(one, Adopt) and isinstance(other, Adopt):
        assert one.candidate == other.candidate


def test_a_lost_create_is_recognized_by_mark_or_by_mail_name_and_time() -> None:
    """An older record with the same data is not the one that the create made."""
    fresh, old = record("9", created_at=NOW + timedelta(seconds=3)), record("8", created_at=NOW - timedelta(days=1))
    found = recovered(ADA, [old, fresh], started_at=NOW)
    assert found is not None
    assert (found.candidate.provider_entity_id, found.origin) == ("9", "created")
    assert recovered(ADA, [old], started_at=NOW) is None
    assert recovered(ADA, [record("7", name="Bob", created_at=NOW)], started_at=NOW) is None


def test_a_record_without_a_time_is_the_lost_one_only_where_none_was_there_before() -> None:
    """And only if it is the one that can be meant."""
    timeless = record("9")
    assert recovered(ADA, [timeless], started_at=NOW) is None
    found = recovered(ADA, [timeless], started_at=NOW, undated=True)
    assert found is not None
    assert (found.candidate.provider_entity_id, found.origin) == ("9", "created")
    others = [record("8", active=False), record("8", name="Bob"), record("8", email=None), record("8", adoptable=False)]
    assert [recovered(ADA, [other], started_at=NOW, undated=True) for other in others] == [None] * len(others)
    old = record("8", created_at=NOW - timedelta(days=1))
    assert recovered(ADA, [timeless, old], started_at=NOW, undated=True) is None
    assert recovered(ADA, [timeless, old], started_at=NOW, undated=True, at_last=True) is None
    assert recovered(ADA, [old], started_at=NOW, undated=True) is None
    assert recovered(ADA, [old], started_at=NOW, at_last=True) is None
    late = recovered(ADA, [old], started_at=NOW, undated=True, at_last=True)
    assert late is not None
    assert late.candidate == old
    assert recovered(ADA, [timeless, record("8")], started_at=NOW, undated=True) is None


def others(decision: object) -> dict[str, str]:
    """Return what an adoption has left aside, and why."""
    assert isinstance(decision, Adopt)
    return {judged.candidate.provider_entity_id: judged.why for judged in decision.others}


@pytest.mark.parametrize("early,found", [(119, True), (120, True), (120.5, False)])
def test_a_lost_create_may_lie_two_minutes_before_by_the_provider_s_clock(early: float, found: bool) -> None:
    made = record(created_at=NOW - timedelta(seconds=early))
    assert (recovered(ADA, [made], started_at=NOW) is not None) is found


def test_of_two_records_of_a_lost_create_the_first_is_linked_and_the_other_shown() -> None:
    """The earliest; one without a time comes last, and ids decide what times do not."""
    marked = {"marker": ADA.reference}
    timeless, late = record("1", **marked), record("2", created_at=NOW + timedelta(seconds=9), **marked)
    early, twin = record("4", created_at=NOW, **marked), record("3", created_at=NOW, **marked)
    for order in ([timeless, late, early, twin], [twin, early, late, timeless]):
        found = recovered(ADA, order, started_at=NOW + timedelta(days=1))
        assert found is not None
        assert found.candidate == twin
        assert set(others(found)) == {"1", "2", "4"}
    assert recovered(ADA, [timeless, late], started_at=NOW).candidate == late  # type: ignore[union-attr]


def test_currencies_are_compared_only_where_the_setting_and_the_customer_say_so() -> None:
    euros, dollars = record(currency="EUR"), replace(ADA, currency="USD")
    assert isinstance(match(dollars, [euros], policy=STRICT, taken={}), Adopt)
    assert isinstance(match(ADA, [euros], policy=MatchPolicy(compare_currency=True), taken={}), Adopt)


def test_two_records_with_our_mark_are_a_question() -> None:
    decision = match(ADA, [record("1", marker="s:c1"), record("2", marker="s:c1")], policy=STRICT, taken={})
    assert (type(decision), getattr(decision, "kind", "")) == (Ask, "ambiguous")


def test_an_adoption_reactivates_nothing_and_shows_what_it_leaves_aside() -> None:
    kept = match(ADA, [record("1"), record("2", active=False)], policy=STRICT, taken={})
    assert isinstance(kept, Adopt)
    assert (kept.candidate.provider_entity_id, kept.reactivate, others(kept)) == ("1", False, {"2": "inactive"})
    chosen = match(ADA, [record("1"), record("2", "Bob")], policy=STRICT, taken={})
    assert others(chosen) == {"2": "same e-mail, another name"}


def test_a_question_says_of_each_record_what_is_the_same() -> None:
    decision = match(ADA, [record("1"), record("2"), record("3", "Bob")], policy=STRICT, taken={})
    assert isinstance(decision, Ask)
    assert {judged.candidate.provider_entity_id: judged.why for judged in decision.candidates} == {
        "1": "same e-mail and same name", "2": "same e-mail and same name", "3": "same e-mail",
    }  # fmt: skip


def test_by_name_another_name_is_left_and_two_of_the_same_are_a_question() -> None:
    assert isinstance(match(ADA, [record(name="Bob", email=None)], policy=BY_NAME, taken={}), Create)
    two = match(ADA, [record(email=None), record("2", email=None)], policy=BY_NAME, taken={})
    assert (type(two), getattr(two, "kind", "")) == (Ask, "ambiguous")
