"""The insides of other libraries are used only in `codeq_fake.compat`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import codeq_fake

ROOT = Path(codeq_fake.__file__).parent
#: Private by their names only: public methods of named tuples.
PUBLIC = {"_asdict", "_fields", "_make", "_replace"}


def foreign_private_names(file: Path) -> set[str]:
    """The private names of a module that it does not define itself, and takes from something other than `self`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if is_own and isinstance(node.ctx, ast.Store):
                own.add(node.attr)
            elif not is_own:
                found.add(node.attr)
    return found - own - PUBLIC


@pytest.mark.slow
def test_private_names_of_other_libraries_stand_in_compat_alone() -> None:
    files = [file for file in ROOT.rglob("*.py") if file.parent != ROOT / "compat"]
    found = {str(file.relative_to(ROOT)): names for file in files if (names := foreign_private_names(file))}
    assert found == {}, "wrap these names in a module of codeq_fake/compat, with a test of what breaks without them"
