"""The pictures of docs/architecture.md agree with the imports."""

from __future__ import annotations

import re
from importlib.util import find_spec

import grimp
import pytest

from docs.architecture_maps import PACKAGES, arrows, imported

from .support import DOCS, ROOT, blocks

PAGE = DOCS / "architecture.md"
PICTURES = blocks(PAGE, "mermaid")
WAYS = [picture for picture in PICTURES if picture.startswith("sequenceDiagram")]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_arrows_are_the_imports_of_the_package(package: str) -> None:
    imports = imported(package)
    drawn = [set(re.findall(r"^    (\w+) --> (\w+)$", picture, re.MULTILINE)) for picture in PICTURES]
    assert set(arrows(imports)) in drawn, "run `python -m docs.generate`"


def test_an_import_that_a_longer_way_shows_is_not_drawn() -> None:
    imports = {"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset[str]()}
    assert sorted(arrows(imports)) == [("a", "b"), ("b", "c")]


def test_parts_that_import_each_other_are_named() -> None:
    with pytest.raises(ValueError, match="import each other"):
        list(arrows({"a": frozenset({"b"}), "b": frozenset({"a"})}))


@pytest.mark.parametrize("way", WAYS)
def test_each_step_of_a_request_goes_where_an_import_leads(way: str) -> None:
    modules = dict(re.findall(r"participant (\w+) as (?:codeq_fake\.)?([\w.]+)$", way, re.MULTILINE))
    assert all(find_spec(f"codeq_fake.{module}") for module in modules.values())
    graph = grimp.build_graph("codeq_fake")
    for caller, called in re.findall(r"^    (\w+)->>(\w+):", way, re.MULTILINE):
        if caller in modules:
            importer, module = f"codeq_fake.{modules[caller]}", f"codeq_fake.{modules[called]}"
            assert graph.find_shortest_chain(importer, module), f"{importer} does not import {module}"


def test_each_room_that_the_page_sends_to_exists() -> None:
    rooms = PAGE.read_text(encoding="utf-8").partition("\n## Where is ...\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?:\\\||[^|])+ \| (.+) \|$", rooms, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w/]+(?:\.[\w*]+)+)`", row)}
    assert len(named) > len(rows) / 2
    assert [name for name in sorted(named) if not is_room(name)] == []


@pytest.mark.parametrize(
    "name", ["http.no_such_module", "codeq_client._api.no_such_module", "clause_coverage/none.yaml"]
)
def test_a_room_that_does_not_exist_is_found(name: str) -> None:
    assert not is_room(name)


def is_room(name: str) -> bool:
    """Whether there is a module or a file of this name. What names no package is below `codeq_fake`."""
    if not name.startswith(PACKAGES):
        name = f"codeq_fake.{name}"
    if "/" in name:
        return (ROOT / name.replace("codeq_fake.", "codeq_fake/", 1)).is_file()
    if "*" in name:
        return any(ROOT.glob(f"{name.replace('.', '/')}.py"))
    return find_spec(name) is not None
