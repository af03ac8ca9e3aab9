"""The simulated QuickBooks' query language: what parses, what is refused and with which words, what is found."""

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.quickbooks_query import Condition, Operator, Order, Query, QueryError, parse
from tests.contract.quickbooks_client import Client
from tests.contract.simulated import Clock

ALL = "select * from Customer"


@pytest.fixture
async def sim() -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as running:
        running.quirks.clock = Clock()
        yield running


@pytest.fixture
async def client(sim: QuickBooksSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sim, session)


def where(name: str, operator: str, *values: str | Decimal | bool) -> Query:
    return Query(entity="Customer", conditions=(Condition(name=name, operator=Operator(operator), values=values),))


READABLE = [
    (ALL, Query(entity="Customer")),
    ("SELECT * FROM customer", Query(entity="customer")),
    ("select Id, DisplayName from Vendor", Query(entity="Vendor", fields=("Id", "DisplayName"))),
    ("select MetaData.CreateTime from Customer", Query(entity="Customer", fields=("MetaData.CreateTime",))),
    ("Select Count(*) From Customer", Query(entity="Customer", count=True)),
    ("select count from Customer", Query(entity="Customer", fields=("count",))),
    (f"{ALL} where DisplayName = 'Ada'", where("DisplayName", "=", "Ada")),
    (f"{ALL} WHERE DisplayName='Ada'", where("DisplayName", "=", "Ada")),
    (f"{ALL} where DisplayName LIKE '%da%'", where("DisplayName", "like", "%da%")),
    (f"{ALL} where Active IN (true, FALSE)", where("Active", "in", True, False)),
    (f"{ALL} where Id in ('58')", where("Id", "in", "58")),
    (f"{ALL} where Balance >= -1.50", where("Balance", ">=", Decimal("-1.50"))),
    (f"{ALL} where Balance < 10", where("Balance", "<", Decimal(10))),
    (f"{ALL} where Balance <=10", where("Balance", "<=", Decimal(10))),
    (f"{ALL} where DisplayName > 'M'", where("DisplayName", ">", "M")),
    (rf"{ALL} where DisplayName = 'Adam\'s Candy Shop'", where("DisplayName", "=", "Adam's Candy Shop")),
    (rf"{ALL} where DisplayName = 'ends in \\'", where("DisplayName", "=", "ends in \\")),
    (rf"{ALL} where DisplayName = '\\\''", where("DisplayName", "=", "\\'")),
    (f"{ALL} where DisplayName = ''", where("DisplayName", "=", "")),
    (f"{ALL} where DisplayName = 'select or \"from\"'", where("DisplayName", "=", 'select or "from"')),
    (f"{ALL} where DisplayName = 'Rémi Ø ÿ'", where("DisplayName", "=", "Rémi Ø ÿ")),
    (f"{ALL}\n  where\tDisplayName\r\n= 'Ada'", where("DisplayName", "=", "Ada")),
    (f"{ALL} orderby Id", Query(entity="Customer", order=(Order(name="Id"),))),
    (f"{ALL} ORDER BY Id DESC", Query(entity="Customer", order=(Order(name="Id", descending=True),))),
    (
        f"{ALL} orderby FamilyName asc, Id desc",
        Query(entity="Customer", order=(Order(name="FamilyName"), Order(name="Id", descending=True))),
    ),
    (f"{ALL} startposition 11 maxresults 1000", Query(entity="Customer", start=11, rows=1000)),
    (
        f"{ALL} where Active = true and Id = '1' orderby Id startposition 2 maxresults 3",
        Query(
            entity="Customer",
            conditions=(
                Condition(name="Active", operator=Operator.EQUAL, values=(True,)),
                Condition(name="Id", operator=Operator.EQUAL, values=("1",)),
            ),
            order=(Order(name="Id"),),
            start=2,
            rows=3,
        ),
    ),
]


@pytest.mark.parametrize("statement, meaning", READABLE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_statement_of_the_grammar_means_what_it_says(statement: str, meaning: Query) -> None:
    assert parse(statement) == meaning


UNREADABLE = [
    ("", 'Encountered "<EOF>" at line 1, column 1.'),
    ("select", 'Encountered "<EOF>" at line 1, column 7.'),
    ("update Customer", 'Encountered " <IDENTIFIER> "update "" at line 1, column 1.'),
    ("select *, Id from Customer", 'Encountered " <SIGN> ", "" at line 1, column 9.'),
    ("select count(Id) from Customer", '"Id "" at line 1, column 14.'),
    ("select * from Customer, Vendor", 'Encountered " <SIGN> ", ""'),
    (f"{ALL};", 'Lexical error at line 1, column 23.  Encountered: ";" (59), after : ""'),
    (f"{ALL} where", 'Encountered "<EOF>"'),
    (f"{ALL} where Id", 'Encountered "<EOF>"'),
    (f"{ALL} where Id =", 'Encountered "<EOF>"'),
    (f"{ALL} where Id = '1' or Id = '2'", 'Encountered " <IDENTIFIER> "or "" at line 1, column 39.'),
    (f"{ALL} where not Active = true", 'Encountered " <IDENTIFIER> "Active "" at line 1, column 34.'),
    (f"{ALL} where (Id = '1')", 'Encountered " <SIGN> "( ""'),
    (f"{ALL} where Id != '1'", 'Encountered: "!" (33), after : ""'),
    (f"{ALL} where Id <> '1'", 'Encountered " <SIGN> "> ""'),
    (f"{ALL} where Id == '1'", 'Encountered " <SIGN> "= ""'),
    (f"{ALL} where '1' = Id", 'Encountered " <STRING_LITERAL> "\'1\' ""'),
    (f"{ALL} where Id = Name", 'Encountered " <IDENTIFIER> "Name ""'),
    (f"{ALL} where Id in ()", 'Encountered " <SIGN> ") ""'),
    (f"{ALL} where Id in '1'", 'Encountered " <STRING_LITERAL> "\'1\' ""'),
    (f"{ALL} where Id in ('1',)", 'Encountered " <SIGN> ") ""'),
    (f'{ALL} where Id = "1"', 'Lexical error at line 1, column 35.  Encountered: "\\"" (34), after : ""'),
    (f"{ALL} where DisplayName = 'O'Brien'", 'Encountered " <IDENTIFIER> "Brien "" at line 1, column 47.'),
    (f"{ALL} where DisplayName = 'O''Brien'", 'Encountered " <STRING_LITERAL> "\'Brien\' "" at line 1, column 47.'),
    (f"{ALL} where DisplayName = 'Aido's LLC' orderby 'x'", 'Encountered " <IDENTIFIER> "s ""'),
    (f"{ALL} where DisplayName = 'open", 'Encountered: <EOF> after : "\\\'open"'),
    (f"{ALL} where DisplayName = 'b\\' maxresults 1", "Encountered: <EOF> after : \"\\'b\\\\\\' maxresults 1\""),
    (f"{ALL} where DisplayName = 'a\\n'", 'Encountered: "n" (110), after : "\\\'a\\\\"'),
    (f"{ALL} where DisplayName = 'a\nb'", 'Encountered: "\\u000a" (10), after : "\\\'a"'),
    (f"{ALL} where DisplayName = 'Łukasz'", 'Encountered: "\\u0141" (321), after : "\\\'"'),
    (
        "SELECT * FROM ITEM WHERE NAME LIKE '%Fleur’t'",
        'column 43.  Encountered: "\\u2019" (8217), after : "\\\'%Fleur"',
    ),
    (f"{ALL} where DisplayName = '😀'", 'Encountered: "\\ud83d" (55357), after : "\\\'"'),
    (f"{ALL} where DisplayNamé = 'a'", 'Encountered: "\\u00e9" (233), after : ""'),
    (f"{ALL} maxresults 10 startposition 1", 'Encountered " <IDENTIFIER> "startposition ""'),
    (f"{ALL} orderby Id where Id = '1'", 'Encountered " <IDENTIFIER> "where ""'),
    (f"{ALL} order Id", 'Encountered " <IDENTIFIER> "Id ""'),
    (f"{ALL} maxresults '5'", 'Encountered " <STRING_LITERAL>'),
    (f"{ALL} maxresults 2.5", 'Encountered " <DECIMAL_LITERAL> "2.5 ""'),
]


@pytest.mark.parametrize("statement, words", UNREADABLE)
def test_what_is_not_of_the_grammar_is_refused_with_4000_in_the_words_of_the_real_parser(
    statement: str, words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse(statement)
    assert caught.value.code == 4000
    assert caught.value.detail.startswith("QueryParserError: ")
    assert words in caught.value.detail


LATIN1 = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n"))


def outcome(statement: str, value: str | None = None) -> int | str:
    """Return the code of the refusal, or whether the statement asks for exactly this DisplayName."""
    try:
        query = parse(statement)
    except QueryError as error:
        return error.code
    return "meant" if value is not None and query == where("DisplayName", "=", value) else "other"


def quoted(value: str) -> str:
    """Write a literal as Intuit's page says, one character at a time."""
    return "'" + "".join("\\" + character if character in "\\'" else character for character in value) + "'"


@given(value=LATIN1, other=LATIN1)
def test_every_latin1_value_survives_quoting(value: str, other: str) -> None:
    query = parse(f"{ALL} where DisplayName in ({quoted(value)}, {quoted(other)}) and Active in (true, false)")
    assert [condition.values for condition in query.conditions] == [(value, other), (True, False)]


@given(begin=LATIN1, bad=st.sampled_from(["'", "\\", "''", "'; --"]), end=st.one_of(st.just(""), LATIN1))
def test_an_unescaped_quote_or_backslash_never_passes_for_the_value_meant(begin: str, bad: str, end: str) -> None:
    value = f"{begin}{bad}{end}"
    assert outcome(f"{ALL} where DisplayName = '{value}'", value) in {4000, "other"}
    assert outcome(f"{ALL} where DisplayName = {quoted(value)}", value) == "meant"


@given(value=LATIN1, bad=st.characters(min_codepoint=0x100, exclude_categories=["Cs"]), more=LATIN1)
def test_any_letter_above_latin1_is_a_lexical_error_wherever_it_stands(value: str, bad: str, more: str) -> None:
    with pytest.raises(QueryError, match="Lexical error") as caught:
        parse(f"{ALL} where DisplayName = {quoted(value)[:-1]}{bad}{more}")
    assert f"({int.from_bytes(bad.encode('utf-16-be')[:2])})" in caught.value.detail


@given(statement=st.text())
def test_any_text_is_either_a_query_or_a_query_error(statement: str) -> None:
    assert outcome(statement) in {4000, 4001, "other"}


@pytest.mark.parametrize("rows", ["startposition 0", "maxresults 0", "maxresults 1001", "maxresults -1"])
def test_rows_out_of_range_are_refused_with_4001(rows: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(f"{ALL} {rows}")
    assert caught.value.code == 4001
