"""Reads scanned JSON into a schema as Go decodes into a struct: with folded names, repeated names and nulls.

A repeated name decodes into the same Go variable again, and parts of the earlier value can remain. So there is a class
for each type of variable: `assign` decodes a value into it, and `read` returns what it holds, or None for the zero
value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .scanner import Members, Number, Value
from .schema import INT, LIST_OF, OBJECT, STRING, BadBody, Kind, Struct, fold
from .t1 import check_doubles, t1_text

_INT64_DIGITS = 19
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def bind(value: Value, struct: Struct) -> dict[str, Any]:
    """The fields that the body sets, by their names in the schema; those of ANY and OBJECT as T1 text.

    Raises BadBody for a value of a type or size that Go refuses.
    """
    variable = _StructVariable(struct)
    variable.assign(value)
    return variable.read()


class _Variable(ABC):
    def __init__(self) -> None:
        self._held: Any = None

    @abstractmethod
    def assign(self, value: Value) -> None: ...

    def read(self) -> object:
        return self._held


def _variable(kind: Kind) -> _Variable:
    if isinstance(kind, Struct):
        return _StructVariable(kind)
    if isinstance(kind, LIST_OF):
        return _SliceVariable(kind.item)
    if kind is STRING:
        return _StringVariable()
    if kind is INT:
        return _IntVariable()
    return _MapVariable() if kind is OBJECT else _AnyVariable()


class _StringVariable(_Variable):
    def assign(self, value: Value) -> None:
        if not isinstance(value, str | None):
            raise BadBody
        self._held = self._held if value is None else value


class _IntVariable(_Variable):
    def assign(self, value: Value) -> None:
        if not isinstance(value, Number | None):
            raise BadBody
        self._held = self._held if value is None else _int64(value.literal)


class _AnyVariable(_Variable):
    def assign(self, value: Value) -> None:
        check_doubles(value)
        self._held = value

    def read(self) -> str | None:
        return None if self._held is None else t1_text(self._held)


class _MapVariable(_AnyVariable):
    def assign(self, value: Value) -> None:
        if not isinstance(value, Members | None):
            raise BadBody
        if value is None or self._held is None:
            super().assign(value)
        else:
            check_doubles(value)
            self._held.pairs.extend(value.pairs)


class _SliceVariable(_Variable):
    def __init__(self, item: Kind) -> None:
        super().__init__()
        self._item = item
        self._length: int | None = None
        # After a shorter list the items behind its end remain, and a longer one later decodes into them.
        self._variables: list[_Variable] = []

    def assign(self, value: Value) -> None:
        if not isinstance(value, list | None):
            raise BadBody
        if not value:
            self._variables = []
        for index, item in enumerate(value or ()):
            if index == len(self._variables):
                self._variables.append(_variable(self._item))
            self._variables[index].assign(item)
        self._length = None if value is None else len(value)

    def read(self) -> list[object] | None:
        if self._length is None:
            return None
        items = [variable.read() for variable in self._variables[: self._length]]
        return ["" if item is None else item for item in items]


class _StructVariable(_Variable):
    def __init__(self, struct: Struct) -> None:
        super().__init__()
        self._struct = struct
        self._variables: dict[str, _Variable] = {}

    def assign(self, value: Value) -> None:
        if not isinstance(value, Members | None):
            raise BadBody
        for written, member in value.pairs if value else ():
            name = self._struct.folded.get(fold(written))
            if name is not None:
                if name not in self._variables:
                    self._variables[name] = _variable(self._struct.fields[name])
                self._variables[name].assign(member)

    def read(self) -> dict[str, Any]:
        held = {name: variable.read() for name, variable in self._variables.items()}
        return {name: value for name, value in held.items() if value is not None}


def _int64(literal: str) -> int:
    """The value of an integer literal. To Go neither `5.0` nor `1e1` is one (B1)."""
    digits = literal.removeprefix("-")
    if not digits.isdecimal() or len(digits) > _INT64_DIGITS:
        raise BadBody
    value = int(literal)
    if not _INT64_MIN <= value <= _INT64_MAX:
        raise BadBody
    return value
