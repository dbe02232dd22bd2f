"""The pictures of docs/architecture.md agree with the imports."""

from __future__ import annotations

import re
from importlib.util import find_spec

import grimp
import pytest

from docs.architecture_maps import PACKAGES, arrows, imported

from .support import DOCS, blocks

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


def test_each_module_that_the_page_sends_to_exists() -> None:
    folders = "auth|clause_coverage|cli|control|core|faults|http|in_process|runtime|server_settings|serving|webhooks"
    named = re.findall(rf"`((?:{folders})\.\w+)`", PAGE.read_text())
    assert named
    for name in named:
        assert find_spec(f"codeq_fake.{name}"), name
