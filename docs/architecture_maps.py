"""The map of the packages for docs/architecture.md: what each part is for, and which part imports which.

An arrow of a picture means an import. Of two ways to the same part only the longer is drawn, so a picture has the few
arrows that matter: where `http` imports `runtime` and `runtime` imports `core`, none leads from `http` to `core`.
"""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGES = ("codeq_fake", "codeq_client", "codeq_contract")

_MARKED = re.compile(r"(<!-- map (\w+) -->\n).*?(<!-- /map -->\n)", re.DOTALL)


def with_maps(text: str) -> str:
    """Return a page with each map between its marks as it is now."""
    return _MARKED.sub(lambda mark: f"{mark[1]}{package_map(mark[2])}{mark[3]}", text)


def package_map(package: str) -> str:
    """The parts of a package as a table, and their imports as a picture."""
    imports = imported(package)
    lines = ["| part | what it is |", "| --- | --- |"]
    lines += [f"| `{name}` | {_purpose(f'{package}.{name}')} |" for name in sorted(imports)]
    lines += ["", "```mermaid", "flowchart TD"]
    lines += [f"    {importer} --> {part}" for importer, part in sorted(arrows(imports))]
    return "\n".join([*lines, "```", ""])


def imported(package: str) -> dict[str, frozenset[str]]:
    """Which parts each part of a package imports. A part is a package or a module directly in it."""
    graph = grimp.build_graph(package)
    parts = {module.removeprefix(f"{package}.") for module in graph.find_children(package)}
    found: dict[str, set[str]] = {part: set() for part in parts}
    for module in graph.modules - {package}:
        for other in graph.find_modules_directly_imported_by(module) - {package}:
            found[_part(module)].add(_part(other))
    return {part: frozenset(others - {part}) for part, others in found.items()}


def arrows(imports: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    """The imports without those that a longer way also shows. Raises ValueError when parts import each other."""
    reached: dict[str, frozenset[str]] = {}

    def reach(part: str, way: tuple[str, ...] = ()) -> frozenset[str]:
        if part in way:
            raise ValueError(f"these parts import each other: {', '.join(way[way.index(part) :])}")
        if part not in reached:
            beyond = [reach(other, (*way, part)) for other in imports[part]]
            reached[part] = imports[part].union(*beyond)
        return reached[part]

    for part, others in imports.items():
        reach(part)
        yield from ((part, other) for other in others if not any(other in reach(third) for third in others))


def _part(module: str) -> str:
    return module.split(".")[1]


def _purpose(module: str) -> str:
    """The first line of a module's docstring, without its full stop."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module}")
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("``", "`").replace("|", "\\|").removesuffix(".")
