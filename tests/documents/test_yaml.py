"""YAML: a value that JSON has too, or a refusal in words."""

from __future__ import annotations

import pytest

from codeq_fake.documents import BadDocumentError
from codeq_fake.documents.yaml_text import read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{new}: &{new} {{<<: [*{old}, *{old}, *{old}, *{old}]}}\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)
CHAIN = f"- &a0 {'[' * 60}{']' * 60}\n- &a1 {'[' * 30}*a0{']' * 30}\n- {'[' * 30}*a1{']' * 30}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("{a: 1, b: [x, 2.5, ~, true], c: 2026-01-31, d: 2026-01-31T12:00:00Z}",
         {"a": 1, "b": ["x", 2.5, None, True], "c": "2026-01-31", "d": "2026-01-31T12:00:00Z"}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
    ],
)  # fmt: skip
def test_values_of_json_are_read(text: str, value: object) -> None:
    assert read_yaml(text) == value


def test_100_levels_are_read() -> None:
    assert str(read_yaml("[" * 100 + "]" * 100)) == "[" * 100 + "]" * 100


def test_scalars_can_stay_text() -> None:
    assert read_yaml("{a: 1, b: [~, true]}", typed=False) == {"a": "1", "b": ["~", "true"]}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: [", 1, "expected the node content, but found '<stream end>'"),
        ("a:\n  " + "[" * 3000, 2, "it nests deeper than 100 levels"),
        ("- " * 101 + "a", 1, "it nests deeper than 100 levels"),
        (CHAIN, 3, "it nests deeper than 100 levels"),
        (BOMB, 6, "its aliases repeat more than 100000 values"),
        (MERGES, 8, "its aliases repeat more than 100000 values"),
        ("a: 1\nb: &b [*b]", 2, "the alias *b is a part of what it stands for"),
        ('a: "\\ud800"', 1, "it has half a surrogate pair, which is no Unicode text"),
        ('"\\udc00": a', 1, "it has half a surrogate pair, which is no Unicode text"),
        ("a: !!binary eA==", 1, "JSON has no binary"),
        ("a: !!set {b}", 1, "JSON has no set"),
        ("? [a]\n: b", 1, "found unhashable key"),
        ("a: !!python/name:os.system x", 1, "could not determine a constructor for the tag"),
        ("a: !!int ''", None, "a value is not of its type: string index out of range"),
        ("a: !!bool x", None, "a value is not of its type: 'x'"),
        (f"a: {'1:' * 500}1.5", None, "a value is not of its type: int too large to convert to float"),
        ("a: \x00", None, "unacceptable character #x0000"),
        ("a: \ud800", None, "unacceptable character #xd800"),
    ],
)
def test_any_other_text_is_refused_in_words(text: str, line: int | None, reason: str) -> None:
    with pytest.raises(BadDocumentError) as caught:
        read_yaml(text)
    assert (caught.value.line, caught.value.reason[: len(reason)]) == (line, reason)
