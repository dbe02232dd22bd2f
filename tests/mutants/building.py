"""Puts a defect into the fake of this process for good: one module gets another text, and all are imported again."""

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
    from types import CodeType

FAKE = Path(codeq_fake.__file__).parent


def build_in(file: str, source: str) -> None:
    """Let the suite start fakes in which the module in `file` (below `codeq_fake`) has this source text."""
    module = ".".join(["codeq_fake", *Path(file).with_suffix("").parts]).removesuffix(".__init__")
    sys.meta_path.insert(0, _Finder(module, str(FAKE / file), source))
    import_again()


def import_again() -> None:
    """Import the fake again, for the suite to start."""
    for name in [name for name in sys.modules if name.startswith("codeq_fake")]:
        del sys.modules[name]
    testing = import_module("codeq_fake.testing")
    pytest.MonkeyPatch().setattr(codeq_contract.driver.in_process, "FakeCodeQ", testing.FakeCodeQ)


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
