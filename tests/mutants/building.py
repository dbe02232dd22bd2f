"""Puts a defect into the fake of this process for good: modules get another text, and all are imported again."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import codeq_contract.driver.in_process
import codeq_fake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

    from codeq_fake.testing import FakeCodeQ

FAKE = Path(codeq_fake.__file__).parent


def build_in(sources: Mapping[str, str]) -> None:
    """Let the suite start fakes whose modules have these source texts, each by its file below `codeq_fake`."""
    sys.meta_path[:0] = [_finder(file, source) for file, source in sources.items()]
    import_again()


def import_again() -> None:
    """Import the fake again, for the suite to start."""
    pytest.MonkeyPatch().setattr(codeq_contract.driver.in_process, "FakeCodeQ", _imported_again())


def beside_the_right_one(file: str, source: str) -> type[FakeCodeQ]:
    """The class of fakes in which that module has this source text. The fake of this process stays as it is.

    Raises ValueError for a module that a fake imports only when it needs it: it would get the right one.
    """
    right = {name: module for name, module in sys.modules.items() if name.startswith("codeq_fake")}
    finder = _finder(file, source)
    sys.meta_path.insert(0, finder)
    try:
        fake = _imported_again()
        if module_name(file) not in sys.modules:
            raise ValueError(f"{file} is imported late, so the fake beside the right one cannot have another")
    finally:
        sys.meta_path.remove(finder)
        sys.modules.update(right)
    return fake


def _imported_again() -> type[FakeCodeQ]:
    for name in [name for name in sys.modules if name.startswith("codeq_fake")]:
        del sys.modules[name]
    fake: type[FakeCodeQ] = import_module("codeq_fake.testing").FakeCodeQ
    return fake


def module_name(file: str) -> str:
    """The name of the module in this file."""
    return ".".join(["codeq_fake", *Path(file).with_suffix("").parts]).removesuffix(".__init__")


def _finder(file: str, source: str) -> _Finder:
    return _Finder(module_name(file), str(FAKE / file), source)


class _Finder:
    """Finds one module, with a text that is not that of its file."""

    def __init__(self, module: str, file: str, source: str) -> None:
        self._module, self._file, self._source = module, file, source

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder`."""
        if name != self._module:
            return None
        return spec_from_file_location(name, self._file, loader=_Loader(name, self._file, self._source))


class _Loader(SourceFileLoader):
    def __init__(self, module: str, file: str, source: str) -> None:
        super().__init__(module, file)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        """The code of the text, never that of a cache."""
        return compile(self._source, self.get_filename(fullname), "exec", dont_inherit=True)
