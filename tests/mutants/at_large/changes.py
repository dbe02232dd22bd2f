"""Changes at large: each place of the fake's rules where an operator applies, as one small defect."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from tests.mutants.at_large.operators import OPERATORS, of_condition
from tests.mutants.building import FAKE

#: The packages that hold what the contract says.
PACKAGES = ("core", "http", "auth", "wire", "webhooks", "server_settings")

#: Their files below `codeq_fake`.
FILES = tuple(
    path.relative_to(FAKE).as_posix()
    for path in sorted(path for package in PACKAGES for path in (FAKE / package).rglob("*.py"))
)

#: Calls that only say something to type checkers.
_OF_TYPES = frozenset({"ParamSpec", "TypeVar", "assert_never", "cast"})


@dataclass(frozen=True, slots=True)
class Change:
    """Another text in one place of a file.

    The place is from `start` to `end` in the bytes of the file, and part of a statement on `lines`. `scope` is the
    function or class around it, `constant` what a module or a class assigns there (`Task.webhook`), and `raised` the
    exception of a `raise`, or of the condition for it. The name shows where the place is: `core/queue.py Queue.put:
    return {a == 1 -> a != 1}`.
    """

    name: str
    file: str
    scope: str
    constant: str
    raised: str
    lines: range
    start: int
    end: int
    text: str


def sources(changes: Iterable[Change]) -> dict[str, str]:
    """The source texts of the files of these changes with the changes in them. No two may be in one statement."""
    texts: dict[str, bytes] = {}
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        text = texts.get(change.file, _source(change.file))
        texts[change.file] = text[: change.start] + change.text.encode() + text[change.end :]
    return {file: text.decode() for file, text in texts.items()}


@cache
def changes() -> dict[str, Change]:
    """All changes by their names. Like ones in a function have numbers."""
    seen: Counter[str] = Counter()
    found = {}
    for file in FILES:
        for change in changes_of(file, _source(file)):
            seen[change.name] += 1
            number = seen[change.name]
            name = change.name if number == 1 else f"{change.name} ({number})"
            found[name] = replace(change, name=name)
    return found


@cache
def _source(file: str) -> bytes:
    return (FAKE / file).read_bytes()


def changes_of(file: str, source: bytes) -> Iterator[Change]:
    """The changes of a file. Like ones in a function have the same name."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for place in _places(ast.parse(source), _Around()):
        node = place.node
        first = starts[node.lineno - 1]
        start, end = first + node.col_offset, starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before, old, after = source[first:start].decode(), source[start:end].decode(), source[end:].decode()
        rest_of_line = after.partition("\n")[0]
        shown = " ".join(f"{before}{{{old} -> {place.text}}}{rest_of_line}".split())
        around = place.around
        name = f"{file} {around.scope}: {shown}"
        yield Change(name, file, around.scope, around.constant, around.raised, around.lines, start, end, place.text)


@dataclass(frozen=True, slots=True)
class _Around:
    """What is around a node, as `Change` says it."""

    scope: str = ""
    constant: str = ""
    raised: str = ""
    lines: range = range(0)

    def at(self, node: ast.AST) -> _Around:
        """What is around this node, with what it says itself."""
        if not isinstance(node, ast.stmt):
            return self
        return replace(self, raised=_raised(node), lines=_head(node))

    def within(self, node: ast.AST, part: ast.AST) -> _Around:
        """What is around a part of this node."""
        match node:
            case ast.Module():
                return replace(self, constant=_constant(part, self.scope))
            case ast.ClassDef():
                scope = f"{self.scope}.{node.name}".lstrip(".")
                return replace(self, scope=scope, constant=_constant(part, scope))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return replace(self, scope=f"{self.scope}.{node.name}".lstrip("."))
            case ast.If(test, [ast.Raise() as only]) if part is test:
                return replace(self, raised=_raised(only))
            case _:
                return self


@dataclass(frozen=True, slots=True)
class _Place:
    """A node, a text to stand in its place, and what is around it."""

    node: ast.expr | ast.stmt
    text: str
    around: _Around


def _places(node: ast.AST, around: _Around) -> Iterator[_Place]:
    """The places at a node and below it."""
    if _is_without_effect(node):
        return
    around = around.at(node)
    if isinstance(node, ast.expr | ast.stmt):
        yield from (_Place(node, text, around) for text in OPERATORS.get(type(node), _none)(node))
    yield from (_Place(condition, text, around.within(node, condition)) for condition, text in of_condition(node))
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list"} and not isinstance(node, ast.JoinedStr):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _places(child, around.within(node, child))


def _constant(statement: ast.AST, scope: str) -> str:
    """What a statement of a module or a class assigns."""
    match statement:
        case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
            return f"{scope}.{name}".lstrip(".")
        case _:
            return ""


def _none(_node: ast.AST) -> Iterator[str]:
    return iter(())


def _head(statement: ast.stmt) -> range:
    """The lines of a statement without those of the statements in it."""
    body = getattr(statement, "body", None)
    last = (statement.end_lineno or 0) if not body else max(statement.lineno, body[0].lineno - 1)
    return range(statement.lineno, last + 1)


def _raised(node: ast.AST) -> str:
    """The name of the exception's class, if the node is a `raise` of one."""
    match node:
        case ast.Raise(ast.Call(exception)) | ast.Raise(ast.expr() as exception):
            return ast.unparse(exception)
        case _:
            return ""


def _is_without_effect(node: ast.AST) -> bool:
    """Whether the node is a docstring or for type checkers, or a list of names for Python."""
    match node:
        case ast.Expr(ast.Constant()) | ast.Subscript(ast.Name("Literal")):
            return True
        case ast.Assign([ast.Name(name)]):
            return name.startswith("__")
        case ast.If(ast.Name("TYPE_CHECKING")) | ast.AnnAssign(annotation=ast.Name("TypeAlias")):
            return True
        case ast.Call(ast.Name(name)):
            return name in _OF_TYPES
        case _:
            return False
