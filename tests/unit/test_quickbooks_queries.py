"""Statements of QuickBooks' query language: whatever a customer is called, they say what was meant and no more."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.errors import LookupImpossibleError
from connectors.quickbooks import queries
from connectors.testing.quickbooks_query import Operator, QueryError, parse

ANY = st.text(max_size=120)
LATIN1 = st.text(
    st.characters(max_codepoint=0xFF).filter(lambda character: character.isprintable() or character == " "),
    max_size=120,
)
HOSTILE = st.text(st.sampled_from("'\\%ab() ,=é-\"inorORAND"), max_size=40)


@given(LATIN1 | HOSTILE)
@example("Adam's Candy Shop")
@example("ends in a backslash\\")
@example("\\'")
@example("' or '1' = '1")
def test_a_literal_means_its_value_to_the_parser(value: str) -> None:
    query = parse(queries.select("Customer", queries.equal("DisplayName", value), queries.EITHER_ACTIVE))
    named, active = query.conditions
    assert (named.name, named.operator, named.values) == ("DisplayName", Operator.EQUAL, (value,))
    assert active.values == (True, False)


@given(st.lists(LATIN1 | HOSTILE, min_size=1, max_size=6))
def test_a_list_of_values_means_these_values(values: list[str]) -> None:
    query = parse(queries.select("Customer", queries.one_of("DisplayName", values)))
    assert query.conditions[0].operator is Operator.IN
    assert query.conditions[0].values == tuple(values)


@given(ANY)
@example("Łukasz Żak")
@example("tab\tnewline\n")
@example("“curly’s”")
def test_what_cannot_be_written_is_refused_by_us_and_not_by_quickbooks(value: str) -> None:
    if queries.is_writable(value):
        assert parse(queries.select("Customer", queries.equal("Id", value))).conditions[0].values == (value,)
    else:
        with pytest.raises(LookupImpossibleError):
            queries.literal(value)


def test_the_parser_refuses_what_is_refused_here() -> None:
    with pytest.raises(QueryError):
        parse("select * from Customer where DisplayName = 'Łukasz'")
    with pytest.raises(QueryError):
        parse("select * from Customer where DisplayName = 'Adam''s'")


@given(ANY)
@example("李小龍")
@example("100% Łódź\\")
def test_a_pattern_is_writable_and_matches_its_text(text: str) -> None:
    pattern = queries.pattern_of(text)
    (condition,) = parse(queries.select("Customer", queries.like("DisplayName", pattern))).conditions
    assert condition.operator is Operator.LIKE
    assert condition.values == (pattern,)
    rest = text
    for index, part in enumerate(pattern.split("%")):
        at = rest.find(part)
        assert at == 0 if index == 0 else at >= 0
        rest = rest[at + len(part) :]


@pytest.mark.parametrize("text, pattern", [("Łukasz Żak", "%ukasz %ak"), ("李小龍", "%"), ("Ada", "Ada")])
def test_letters_beyond_latin1_become_wildcards(text: str, pattern: str) -> None:
    assert queries.pattern_of(text) == pattern


def test_the_strength_of_a_pattern_counts_letters_and_digits() -> None:
    assert queries.strength("%ukasz %ak%") == 7
    assert queries.strength("%-%") == 0


def test_a_moment_is_written_in_utc() -> None:
    moment = datetime(2026, 1, 5, 2, 0, tzinfo=timezone(timedelta(hours=-8)))
    (condition,) = parse(queries.select("Customer", queries.since("MetaData.CreateTime", moment))).conditions
    assert condition.values == ("2026-01-05T10:00:00Z",)
    assert queries.since("MetaData.CreateTime", moment.astimezone(UTC)).endswith("'2026-01-05T10:00:00Z'")


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        queries.since("MetaData.CreateTime", datetime(2026, 1, 5))  # noqa: DTZ001 - that is the point


def test_pages_are_ordered_and_full() -> None:
    query = parse(queries.select("Vendor", columns="Id, DisplayName", start=1001))
    assert (query.entity, query.fields, query.start, query.rows) == ("Vendor", ("Id", "DisplayName"), 1001, 1000)
    assert [order.name for order in query.order] == ["Id"]
