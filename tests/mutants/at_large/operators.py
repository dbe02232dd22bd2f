"""Mutation operators: texts that may stand in the place of a node of Python's syntax, each a likely mistake.

What other operators show as well is left out. A suite that notices each operand of `a and b` taken away would notice
`a or b`, too.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

_COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ARITHMETIC = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.FloorDiv: "*",
    ast.Div: "*",
    ast.Mod: "*",
    ast.LShift: ">>",
    ast.RShift: "<<",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
_OTHER_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}


def _comparison(node: ast.Compare) -> Iterator[str]:
    """The comparison with or without the limit, or its opposite."""
    if len(node.ops) == 1:
        yield f"{ast.unparse(node.left)} {_COMPARISONS[type(node.ops[0])]} {ast.unparse(node.comparators[0])}"


def _operands(node: ast.BoolOp) -> Iterator[str]:
    """One operand less."""
    for gone in node.values:
        rest = [value for value in node.values if value is not gone]
        yield f"({ast.unparse(ast.BoolOp(node.op, rest) if len(rest) > 1 else rest[0])})"


def _operand(node: ast.UnaryOp) -> Iterator[str]:
    """The operand without `not` or its sign."""
    yield f"({ast.unparse(node.operand)})"


def _arithmetic(node: ast.BinOp) -> Iterator[str]:
    """Another operation."""
    other = _ARITHMETIC.get(type(node.op))
    if other:
        yield f"(({ast.unparse(node.left)}) {other} ({ast.unparse(node.right)}))"


def _constant(node: ast.Constant) -> Iterator[str]:
    """The neighbours of a number, another text, the other truth value."""
    match node.value:
        case bool(value):
            yield str(not value)
        case int(value):
            yield str(value + 1)
            yield f"({value - 1})"
        case float(value) if value:
            yield str(value * 2)
        case str(value):
            yield repr(f"{value}x")
        case bytes(value):
            yield repr(value + b"x")
        case _:
            pass


def _empty_text(_node: ast.JoinedStr) -> Iterator[str]:
    """No text."""
    yield '""'


def _call(node: ast.Call) -> Iterator[str]:
    """Neighbouring arguments swapped, the opposite function, the object of a method without arguments."""
    match node.func:
        case ast.Name(name) if name in _OTHER_FUNCTIONS:
            yield ast.unparse(ast.Call(ast.Name(_OTHER_FUNCTIONS[name]), node.args, node.keywords))
            return
        case ast.Attribute(owner) if not (node.args or node.keywords):
            yield ast.unparse(owner)
        case _:
            pass
    for place, (left, right) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if ast.Starred not in {type(left), type(right)} and ast.dump(left) != ast.dump(right):
            swapped = [*node.args[:place], right, left, *node.args[place + 2 :]]
            yield ast.unparse(ast.Call(node.func, swapped, node.keywords))


def _nothing(_node: ast.stmt) -> Iterator[str]:
    """No statement."""
    yield "pass"


def _assignment(node: ast.Assign) -> Iterator[str]:
    """No change of an attribute or an item. Without a variable the code would merely fail."""
    if not isinstance(node.targets[0], ast.Name | ast.Tuple):
        yield "pass"


def _counting(node: ast.AugAssign) -> Iterator[str]:
    """Another operation, or none."""
    other = _ARITHMETIC.get(type(node.op))
    if other:
        yield f"{ast.unparse(node.target)} {other}= {ast.unparse(node.value)}"
    yield "pass"


def _return(node: ast.Return) -> Iterator[str]:
    """None, or no end of the function here."""
    if node.value is None:
        yield "pass"
    elif not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield "return None"


#: What may stand in the place of a node, by its kind.
OPERATORS: Mapping[type[ast.AST], Callable[[Any], Iterator[str]]] = MappingProxyType(
    {
        ast.Assign: _assignment,
        ast.AugAssign: _counting,
        ast.BinOp: _arithmetic,
        ast.BoolOp: _operands,
        ast.Break: _nothing,
        ast.Call: _call,
        ast.Compare: _comparison,
        ast.Constant: _constant,
        ast.Continue: _nothing,
        ast.Delete: _nothing,
        ast.Expr: _nothing,
        ast.JoinedStr: _empty_text,
        ast.Raise: _nothing,
        ast.Return: _return,
        ast.UnaryOp: _operand,
    }
)


def of_condition(node: ast.AST) -> list[tuple[ast.expr, str]]:
    """What may stand in the place of the conditions that a node has: always or never true."""
    match node:
        case ast.If(condition) | ast.IfExp(condition):
            return [(condition, "True"), (condition, "False")]
        case ast.While(condition):
            return [(condition, "False")]
        case ast.comprehension():
            return [(condition, "True") for condition in node.ifs]
        case ast.match_case(guard=ast.expr() as guard):
            return [(guard, "True")]
        case _:
            return []
