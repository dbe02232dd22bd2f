"""Gives the functions of the imported fake other code. That is much faster than to import the fake again."""

from __future__ import annotations

import gc
import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, FunctionType

from tests.mutants.at_large.changes import FILES
from tests.mutants.building import FAKE, module_name

#: The file, the name and the first line of a function.
_Place = tuple[str, str, int]


class UnchangeableError(Exception):
    """More than the code of functions differs: the fake has to be imported again."""


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions of the fake that this process has imported."""

    by_place: Mapping[_Place, list[FunctionType]]

    @classmethod
    def imported(cls) -> Functions:
        """Import the modules that have rules, and return all functions of the fake."""
        import_rules()
        by_place = defaultdict(list)
        gc.unfreeze()  # objects that are frozen are not listed
        for each in gc.get_objects():
            if type(each) is FunctionType and each.__code__.co_filename.startswith(str(FAKE)):
                by_place[_place(each.__code__)].append(each)
        return cls(dict(by_place))

    def change(self, file: str, source: str) -> None:
        """Give the functions of a file the code of this source text, for good. Raises UnchangeableError."""
        path = FAKE / file
        right, wrong = (compile(text, path, "exec", dont_inherit=True) for text in (path.read_bytes(), source))
        for old, new in _differing(right, wrong):
            functions = self.by_place.get(_place(old), [])
            if not functions:
                raise UnchangeableError
            for function in functions:
                function.__code__ = new


def import_rules() -> None:
    """Import all modules that have rules, those that are imported late, too."""
    for file in FILES:
        import_module(module_name(file))


def _place(code: CodeType) -> _Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _differing(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """The functions of a module or class that differ, without the functions in them."""
    if old.co_code != new.co_code or _own_parts(old) != _own_parts(new):
        raise UnchangeableError
    for one, other in zip(_nested(old), _nested(new), strict=True):
        if not one.co_flags & inspect.CO_OPTIMIZED:
            yield from _differing(one, other)
        elif one != other:
            yield one, other


def _own_parts(code: CodeType) -> list[object]:
    """The names and constants of a code, without the functions and classes in it."""
    return [code.co_names, code.co_varnames, repr([each for each in code.co_consts if not isinstance(each, CodeType)])]


def _nested(code: CodeType) -> list[CodeType]:
    """The functions and classes directly in a code."""
    return [each for each in code.co_consts if isinstance(each, CodeType)]
