"""Mutants: plausible small defects of the fake, each with the fact of the contract that it makes wrong.

Most are rows of `table/*.toml`: a file of `codeq_fake`, the text in it, and the text in its place. What takes more is a
function of `defects`.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import codeq_contract
import codeq_fake
from codeq_contract.clauses import CLAUSES, FACTS
from tests.mutants.defects import DEFECTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

FAKE = Path(codeq_fake.__file__).parent
TABLE = Path(__file__).with_name("table")

#: What has to be imported again to get a text of the table into effect.
_RELOADED = ("codeq_fake", "codeq_contract", "tests.mutants.defects")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A defect. It has either a text to replace in a file, or is the function of its name in `defects`."""

    name: str
    fact: str
    file: str = ""
    old: str = ""
    new: str = ""

    @property
    def source(self) -> str:
        """The source text of its file with the defect in it."""
        return (FAKE / self.file).read_text(encoding="utf-8").replace(self.old, self.new)

    def build_in(self) -> None:
        """Build it into the fake of this process for good."""
        if not self.file:
            [apply] = [defect.apply for defect in DEFECTS if defect.name == self.name]
            apply(pytest.MonkeyPatch())
            return
        for name in [name for name in sys.modules if name.startswith(_RELOADED)]:
            del sys.modules[name]
        module = ".".join(["codeq_fake", *Path(self.file).with_suffix("").parts]).removesuffix(".__init__")
        sys.meta_path.insert(0, _Finder(module, str(FAKE / self.file), self.source))
        import_module(module)


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


def _rows() -> list[Mutant]:
    mutants: list[Mutant] = []
    for document in _DOCUMENTS:
        for row in document.get("mutant", ()):
            number = 1 + sum(mutant.fact == row["fact"] for mutant in mutants)
            mutants.append(Mutant(f"{row['fact']}/{number}", **row))
    return mutants


_DOCUMENTS = [tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(TABLE.glob("*.toml"))]

#: All mutants, in the contract's order of their facts.
MUTANTS = sorted(
    [*_rows(), *(Mutant(defect.name, defect.fact) for defect in DEFECTS)],
    key=lambda mutant: [*FACTS].index(mutant.fact) if mutant.fact in FACTS else -1,
)

#: The facts that are still without a case and a mutant.
UNCOVERED = frozenset(fact for document in _DOCUMENTS for fact in document.get("uncovered", ()))


@cache
def facts_of_cases() -> set[str]:
    """The facts that cases name."""
    files = (Path(codeq_contract.__file__).parent / "cases").glob("test_*.py")
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "checks"]
    return {ast.literal_eval(argument) for call in calls for argument in call.args}


def chosen(names: Sequence[str]) -> list[Mutant]:
    """The mutants of these facts and clauses. Raises ValueError for a name that is neither."""
    unknown = [name for name in names if name not in FACTS and name not in CLAUSES]
    if unknown:
        raise ValueError(f"{unknown[0]} is neither a fact nor a clause")
    return [mutant for mutant in MUTANTS if not {mutant.fact, FACTS[mutant.fact].clause}.isdisjoint(names)]
