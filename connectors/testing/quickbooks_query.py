"""The query language of QuickBooks: its grammar, and errors in the words of Intuit's own parser.

https://developer.intuit.com/app/developer/qbo/docs/learn/explore-the-quickbooks-online-api/data-queries
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from connectors.testing.quickbooks_tokens import QueryError, Sort, Token, tokens

__all__ = ["Condition", "Operator", "Order", "Query", "QueryError", "Value", "parse"]

DEFAULT_ROWS = 100
MOST_ROWS = 1000


class Operator(StrEnum):
    """How a condition compares."""

    EQUAL = "="
    LESS = "<"
    GREATER = ">"
    AT_MOST = "<="
    AT_LEAST = ">="
    IN = "in"
    LIKE = "like"


Value = str | Decimal | bool
"""A literal: quoted, a number, or a boolean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison. `values` has one item for every operator but IN."""

    name: str
    operator: Operator
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One property of ORDERBY."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A statement. Names are as written; whether they exist is for the reader of the data to say."""

    entity: str
    fields: tuple[str, ...] = ()
    """Empty for `*`."""
    count: bool = False
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    start: int = 1
    rows: int = DEFAULT_ROWS


class _Parser:
    """Recursive descent; one method a rule of the grammar."""

    def __init__(self, statement: str) -> None:
        # A token is read when it is looked at, so of two errors the first one is told, whatever its sort.
        self._tokens = tokens(statement)
        self._next = next(self._tokens)

    def _take(self) -> Token:
        token = self._next
        if token.sort is not Sort.END:
            self._next = next(self._tokens)
        return token

    def _is(self, *words: str) -> bool:
        token = self._next
        return token.sort in {Sort.WORD, Sort.SIGN} and token.text.lower() in words

    def _accept(self, *words: str) -> bool:
        if self._is(*words):
            self._take()
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._unexpected(word)

    def _unexpected(self, *wanted: str) -> QueryError:
        token = self._next
        met = "<EOF>" if token.sort is Sort.END else f' <{token.sort}> "{token.written} "'
        expected = "\n".join(f"    {word} ..." for word in wanted)
        detail = f'QueryParserError: Encountered "{met}" at line {token.line}, column {token.column}.'
        return QueryError(4000, f"{detail}\nWas expecting one of:\n{expected}\n    ")

    def statement(self) -> Query:
        self._expect("select")
        count, fields = self._selection()
        self._expect("from")
        entity = self._word("<IDENTIFIER>")
        conditions = self._conditions() if self._accept("where") else ()
        order = self._ordering()
        start = self._integer("startposition", 1)
        rows = self._integer("maxresults", DEFAULT_ROWS)
        if self._next.sort is not Sort.END:
            raise self._unexpected("<EOF>", "<AND>", '"maxresults"', '"order"', '"orderby"', '"startposition"')
        if start < 1 or not 1 <= rows <= MOST_ROWS:
            raise QueryError(4001, f"QueryValidationError: startposition {start}, maxresults {rows} is out of range")
        return Query(
            entity=entity, fields=fields, count=count, conditions=conditions, order=order, start=start, rows=rows
        )

    def _selection(self) -> tuple[bool, tuple[str, ...]]:
        if self._accept("*"):
            return False, ()
        fields = [self._word("<IDENTIFIER>", '"*"', '"count"')]
        if fields[0].lower() == "count" and self._accept("("):
            self._expect("*")
            self._expect(")")
            return True, ()
        while self._accept(","):
            fields.append(self._word("<IDENTIFIER>"))
        return False, tuple(fields)

    def _conditions(self) -> tuple[Condition, ...]:
        conditions = [self._condition()]
        while self._accept("and"):
            conditions.append(self._condition())
        return tuple(conditions)

    def _condition(self) -> Condition:
        name = self._word("<IDENTIFIER>")
        if self._accept("in"):
            self._expect("(")
            values = [self._value()]
            while self._accept(","):
                values.append(self._value())
            self._expect(")")
            return Condition(name=name, operator=Operator.IN, values=tuple(values))
        if self._is("like", "=", "<", ">", "<=", ">="):
            operator = Operator(self._take().text.lower())
            return Condition(name=name, operator=operator, values=(self._value(),))
        raise self._unexpected('"="', '"<"', '">"', '"<="', '">="', '"in"', '"like"')

    def _ordering(self) -> tuple[Order, ...]:
        if self._accept("order"):
            self._expect("by")
        elif not self._accept("orderby"):
            return ()
        order = [self._order()]
        while self._accept(","):
            order.append(self._order())
        return tuple(order)

    def _order(self) -> Order:
        name = self._word("<IDENTIFIER>")
        if self._accept("desc"):
            return Order(name=name, descending=True)
        self._accept("asc")
        return Order(name=name)

    def _value(self) -> Value:
        token = self._next
        if self._is("true", "false"):
            return self._take().text.lower() == "true"
        match token.sort:
            case Sort.STRING:
                return self._take().text
            case Sort.INTEGER | Sort.DECIMAL:
                return Decimal(self._take().text)
            case _:
                raise self._unexpected("<STRING_LITERAL>", "<INTEGER_LITERAL>", "<DECIMAL_LITERAL>", "<BOOLEAN>")

    def _word(self, *wanted: str) -> str:
        if self._next.sort is not Sort.WORD:
            raise self._unexpected(*wanted)
        return self._take().text

    def _integer(self, word: str, default: int) -> int:
        if not self._accept(word):
            return default
        if self._next.sort is not Sort.INTEGER:
            raise self._unexpected("<INTEGER_LITERAL>")
        return int(self._take().text)


def parse(statement: str) -> Query:
    """Read a statement. Raises QueryError: 4000 for words and grammar, 4001 for row numbers out of range."""
    return _Parser(statement).statement()
