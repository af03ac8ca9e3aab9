"""Small changes of a module's code, one at a time: a comparison turned, a condition dropped, a number off by one."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_COMPARES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A module with one change. `where` and `change` name it for as long as that place stays as it is."""

    where: str
    change: str
    lines: range
    """The lines of what is changed."""
    inside: bool
    """Whether the change lies in a function's body, so that it needs no other module to be imported again."""
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every change that is made of a module's source."""
    tree = ast.parse(source)
    seen: dict[tuple[str, str], int] = {}
    for path, node, where, inside in _places(tree):
        for changed in _changes(node):
            if ast.dump(changed) == ast.dump(node):
                continue
            change = f"{_shown(node)} → {_shown(changed)}"
            number = seen[where, change] = seen.get((where, change), 0) + 1
            if number > 1:
                change += f" ({number})"
            yield Mutant(where=where, change=change, lines=_lines(node), inside=inside, tree=_with(tree, path, changed))


Path = tuple[tuple[str, int | None], ...]


def _places(tree: ast.Module) -> Iterator[tuple[Path, ast.AST, str, bool]]:
    """Yield every node that may be changed, how to reach it, the function it stands in, and whether in its body.

    Annotations and decorators are left as they are.
    """

    def walk(node: ast.AST, path: Path, where: str, inside: bool) -> Iterator[tuple[Path, ast.AST, str, bool]]:  # noqa: FBT001
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}" if where else node.name
        yield path, node, where or "the module", inside
        for name, value in ast.iter_fields(node):
            within = inside or (name == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
            if name in {"annotation", "returns", "decorator_list", "type_params"}:
                continue
            if isinstance(value, list):
                for index, one in enumerate(value):
                    if isinstance(one, ast.AST):
                        yield from walk(one, (*path, (name, index)), where, within)
            elif isinstance(value, ast.AST):
                yield from walk(value, (*path, (name, None)), where, within)

    yield from walk(tree, (), "", inside=False)


def _lines(node: ast.AST) -> range:
    changed: Any = node.test if isinstance(node, ast.If) else node
    return range(getattr(changed, "lineno", 0), (getattr(changed, "end_lineno", None) or 0) + 1)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                changed = copy.deepcopy(node)
                changed.ops[index] = _COMPARES[type(op)]()
                yield changed
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call() as test):
            changed_if = copy.deepcopy(node)
            changed_if.test = ast.UnaryOp(op=ast.Not(), operand=test)
            yield changed_if
        case ast.Constant(value=bool() as value):
            yield ast.Constant(value=not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value=value + 1)
        case ast.Continue():
            yield ast.Break()
        case ast.Raise():
            yield ast.Pass()
        case _:
            yield from _changed_operators(node)


def _changed_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(op=ast.And() if isinstance(op, ast.Or) else ast.Or(), values=values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            yield ast.BinOp(left=left, op=_ARITHMETIC[type(op)](), right=right)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test=test, body=orelse, orelse=body)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _CALLS:
            yield ast.Call(func=ast.Name(id=_CALLS[name], ctx=ast.Load()), args=args, keywords=keywords)


def _with(tree: ast.Module, path: Path, changed: ast.AST) -> ast.Module:
    made = copy.deepcopy(tree)
    place: ast.AST = made
    for name, index in path[:-1]:
        value = getattr(place, name)
        place = value if index is None else value[index]
    name, index = path[-1]
    if index is None:
        setattr(place, name, changed)
    else:
        getattr(place, name)[index] = changed
    return ast.fix_missing_locations(made)


def _shown(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())[:120]
