"""The words of QuickBooks' query language: tokens, quoting, and lexical errors as Intuit's own lexer tells them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class QueryError(Exception):
    """A statement that is refused: `code` 4000 where it cannot be read, 4001 where it asks for what there is not."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Sort(StrEnum):
    """The kinds of token, by the names that Intuit's parser has for them."""

    WORD = "IDENTIFIER"
    STRING = "STRING_LITERAL"
    INTEGER = "INTEGER_LITERAL"
    DECIMAL = "DECIMAL_LITERAL"
    SIGN = "SIGN"
    END = "EOF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, what it means (`text`: unescaped for a string), how it was written, and where it begins (from 1)."""

    sort: Sort
    text: str
    written: str
    line: int
    column: int


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_SIGN = re.compile(r"<=|>=|[=<>(),*]")
_BLANK = " \t\r\n"
_LATIN1_END = 0xFF


def tokens(statement: str) -> Iterator[Token]:
    """Cut a statement into tokens. Raises QueryError 4000, also for each character above U+00FF, quoted or not."""
    at, line, begin = 0, 1, 0
    while at < len(statement):
        character = statement[at]
        if character in _BLANK:
            at += 1
            if character == "\n":
                line, begin = line + 1, at
            continue
        column = at - begin + 1
        if character == "'":
            text, end = _string(statement, at, line, begin)
            yield Token(sort=Sort.STRING, text=text, written=statement[at:end], line=line, column=column)
        elif found := _WORD.match(statement, at):
            end = found.end()
            yield Token(sort=Sort.WORD, text=found[0], written=found[0], line=line, column=column)
        elif found := _NUMBER.match(statement, at):
            end = found.end()
            sort = Sort.DECIMAL if found[1] else Sort.INTEGER
            yield Token(sort=sort, text=found[0], written=found[0], line=line, column=column)
        elif found := _SIGN.match(statement, at):
            end = found.end()
            yield Token(sort=Sort.SIGN, text=found[0], written=found[0], line=line, column=column)
        else:
            raise _lexical(statement, at, at, line, begin)
        at = end
    yield Token(sort=Sort.END, text="", written="<EOF>", line=line, column=at - begin + 1)


def _string(statement: str, start: int, line: int, begin: int) -> tuple[str, int]:
    r"""Read a quoted string: `\'` and `\\` are the only escapes, and a line must not end inside."""
    out: list[str] = []
    at = start + 1
    while at < len(statement):
        character = statement[at]
        if character == "'":
            return "".join(out), at + 1
        if character == "\\":
            at += 1
            if at >= len(statement) or statement[at] not in "'\\":
                break
            character = statement[at]
        elif character in "\r\n" or ord(character) > _LATIN1_END:
            break
        out.append(character)
        at += 1
    raise _lexical(statement, at, start, line, begin)


def _java(text: str) -> str:
    """Write characters as Java's error messages do: quotes escaped, all but ASCII as UTF-16 units."""
    out: list[str] = []
    for character in text:
        if character in "\"'\\":
            out.append("\\" + character)
        elif " " <= character <= "~":
            out.append(character)
        else:
            units = character.encode("utf-16-be")
            out += [f"\\u{units[index]:02x}{units[index + 1]:02x}" for index in range(0, len(units), 2)]
    return "".join(out)


def _lexical(statement: str, at: int, token_start: int, line: int, begin: int) -> QueryError:
    after = f'after : "{_java(statement[token_start:at])}"'
    if at >= len(statement):
        met = "<EOF>"
    else:
        unit = int.from_bytes(statement[at].encode("utf-16-be", "surrogatepass")[:2], "big")
        shown = _java(statement[at])[:6] if unit > _LATIN1_END else _java(statement[at])
        met = f'"{shown}" ({unit}),'
    where = f"Lexical error at line {line}, column {at - begin + 1}."
    return QueryError(4000, f"QueryParserError: Invalid content. {where}  Encountered: {met} {after}")
