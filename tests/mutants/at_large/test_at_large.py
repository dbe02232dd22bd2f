"""Mutation at large: changes by operators are noticed by the contract suite, or listed with a reason."""

from __future__ import annotations

import subprocess
import sys

import pytest

from codeq_fake.core import commands
from tests.mutants.at_large.changes import changes, changes_of, sources
from tests.mutants.at_large.functions import Functions, UnchangeableError
from tests.mutants.at_large.survivors import REASONS, listed, names


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("a < b", ["pass", "a <= b"]),
        ("a in b", ["pass", "a not in b"]),
        ("a and b and c", ["pass", "(b and c)", "(a and c)", "(a and b)"]),
        ("not a", ["pass", "(a)"]),
        ("a + b", ["pass", "((a) - (b))"]),
        ("a = 1", ["2", "(0)"]),
        ("a = 0.5", ["1.0"]),
        ("a = 0.0", []),
        ("a = True", ["False"]),
        ("a.b = 'é', b'c'", ["pass", "'éx'", "b'cx'"]),
        ("a = f'{b}c'", ['""']),
        ("a = b(c, d)", ["b(d, c)"]),
        ("a = b(c, c)", []),
        ("a = min(*b)", ["max(*b)"]),
        ("a = b.strip()", ["b"]),
        ("a.b += c", ["a.b -= c", "pass"]),
        ("del a", ["pass"]),
        ("raise a", ["pass"]),
        ("if a: ...", ["True", "False"]),
        ("a = b if c else d", ["True", "False"]),
        ("a = [b for b in c if d]", ["True"]),
        ("while a: break", ["False", "pass"]),
        ("def a(b: 'c') -> 'd':\n    'e'\n    return f", ["return None"]),
        ("def a():\n    return", ["pass"]),
        ("match a:\n    case 2 if b: ...", ["True", "3", "(1)"]),
        ("if TYPE_CHECKING: import a", []),
        ("__all__ = ['a']", []),
        ("a: TypeAlias = list['b']", []),
    ],
)
def test_each_place_has_the_texts_of_its_operators(line: str, texts: list[str]) -> None:
    assert [change.text for change in changes_of("core/x.py", line.encode())] == texts


def test_a_change_is_named_by_its_function_and_its_line() -> None:
    source = b"class A:\n    def b(self):\n        self.c('\xc3\xa9',\n            1)\n"
    [change] = [change for change in changes_of("core/x.py", source) if change.text == "2"]
    assert change.name == "core/x.py A.b: {1 -> 2})"
    assert change.lines == range(3, 5)


def test_what_a_module_or_a_class_assigns_is_listed_by_its_name() -> None:
    source = b"A = (1,)\nclass B:\n    c: int = 1\n    def d(self):\n        e = 1\n"
    constants = {change.lines[0]: change.constant for change in changes_of("core/x.py", source)}
    assert constants == {1: "A", 3: "B.c", 5: ""}
    assert [*names(next(changes_of("core/x.py", source)))][1:] == ["core/x.py A", "core/x.py"]


def test_a_change_of_what_is_raised_knows_the_exception() -> None:
    source = b"if a:\n    raise B(f'{c}') from d\nraise\n"
    raised = [(change.text, change.raised) for change in changes_of("core/x.py", source)]
    assert raised == [("True", "B"), ("False", "B"), ("pass", "B"), ('""', "B"), ("pass", "")]


@pytest.mark.slow
def test_a_change_of_a_function_needs_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.trim, "__code__", commands.trim.__code__)  # it comes back
    [change] = [each for each in changes().values() if each.file == "core/commands.py" and each.scope == "trim"][:1]
    Functions.imported().change(change.file, sources([change])[change.file])
    assert commands.is_blank("a") is (change.text == "return None")


@pytest.mark.slow
def test_a_change_beyond_functions_needs_an_import() -> None:
    with pytest.raises(UnchangeableError):
        Functions.imported().change("core/commands.py", "BUILT_IN_COMMANDS = ()")


@pytest.mark.slow
def test_what_is_listed_as_a_survivor_still_exists() -> None:
    existing = {name for change in changes().values() for name in names(change)}
    assert sorted(set(listed()) - existing) == []


def test_each_survivor_has_a_known_reason() -> None:
    assert set(listed().values()) <= set(REASONS)


@pytest.mark.process
@pytest.mark.slow(seconds=10)
def test_a_sample_of_changes_is_killed() -> None:
    command = [sys.executable, "-m", "tests.mutants.at_large.run", "--sample", "--minutes", "0.05", "--processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
