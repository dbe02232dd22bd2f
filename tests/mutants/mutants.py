"""Mutants: plausible small defects of the fake, each with the fact of the contract that it makes wrong.

Most are rows of `table/*.toml`: a file of `codeq_fake`, the text in it, and the text in its place. What takes more is a
function of `defects`.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import codeq_contract
from codeq_contract.clauses import CLAUSES, FACTS
from tests.mutants.building import FAKE, build_in
from tests.mutants.defects import DEFECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = Path(__file__).with_name("table")


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
        build_in({self.file: self.source})


def _rows() -> list[Mutant]:
    mutants: list[Mutant] = []
    of_fact = Counter[str]()
    for document in _DOCUMENTS:
        for row in document.get("mutant", ()):
            of_fact[row["fact"]] += 1
            mutants.append(Mutant(f"{row['fact']}/{of_fact[row['fact']]}", **row))
    return mutants


_DOCUMENTS = [tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(TABLE.glob("*.toml"))]

_PLACES = {fact: place for place, fact in enumerate(FACTS)}

#: All mutants, in the contract's order of their facts.
MUTANTS = sorted(
    [*_rows(), *(Mutant(defect.name, defect.fact) for defect in DEFECTS)],
    key=lambda mutant: _PLACES.get(mutant.fact, -1),
)


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
