"""JSON: a value, or a refusal in words."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core.slices import at_once
from codeq_fake.documents import BadDocumentError, excerpt, free_in_slices, json_depth, read_json, read_shaped_json
from tests.documents.support import broken

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=10,
)


@pytest.mark.slow
@given(VALUES)
def test_what_python_writes_is_read(value: object) -> None:
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps(value).encode(), is_shaped=True) == value


def outcome(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except ValueError as error:
        return str(error)


@given(VALUES.map(json.dumps), st.data())
def test_a_text_that_is_read_in_slices_is_the_same_value_or_refused_in_the_same_words(
    text: str, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    wrong = text[:cut] + data.draw(st.text('[]{},:" 1')) + text[cut:]
    short = data.draw(st.integers(1, 20))
    for given_text in (text, f" {text} ", text[:cut], wrong):
        sliced = outcome(lambda whole: at_once(read_shaped_json(whole, short=short)), given_text)
        assert sliced == outcome(partial(read_json, is_shaped=True), given_text), given_text


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("short", [100, 4096])
def test_a_text_in_parts_is_the_same_value_or_refused_in_the_same_words(size: int, short: int) -> None:
    items = [{"id": n, "text": "é\U0001f600" * (n % 7)} for n in range(2_000)]
    text = json.dumps(
        {"items": items, "long": "aé\n" * 4_000, "numbers": [*range(3_000)]}, indent=1, ensure_ascii=False
    )
    third = len(text) // 3
    for given_text in (text, text[:third], f"{text} 1", f"{text[:third]}\0{text[third:]}", f"{text[:-2]},}}"):
        whole = given_text.encode()
        parts = [whole[at : at + size] for at in range(0, len(whole), size)]
        sliced = outcome(lambda _, parts=parts: at_once(read_shaped_json(parts, short=short)), given_text)  # type: ignore[misc]
        assert sliced == outcome(partial(read_json, is_shaped=True), given_text)
        assert parts == []


def is_checked(text: str) -> bool:
    try:
        at_once(json_depth(text))
    except ValueError:
        return False
    return True


@given(VALUES.map(json.dumps), st.data())
def test_a_text_is_checked_without_its_value(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    wrong = text[:cut] + data.draw(st.text('[]{},:" 1\\u-.e\n\0')) + text[cut + data.draw(st.integers(0, 2)) :]
    for given_text in (text, f" {text} ", text[:cut], wrong):
        assert is_checked(given_text) == isinstance(outcome(lambda whole: [json.loads(whole)], given_text), list)


@pytest.mark.parametrize("text", ["[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000])
def test_the_depth_of_a_text_is_counted(text: str) -> None:
    assert at_once(json_depth(text)) in range(9_998, 10_001)


@pytest.mark.parametrize(
    "text", ["[" * 10_001 + "]" * 10_001, "1" * 5000, f'"{"a" * 100_000}', f"[{'1,' * 100_000}]", '{"a":1,}', "[NaN]"]
)
def test_what_cannot_be_stored_is_refused(text: str) -> None:
    assert not is_checked(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        ("[" * 100_000, "it nests deeper than 100 levels"),
        ("[" * 101 + "]" * 101, "it nests deeper than 100 levels"),
        ('{"a":' * 101 + "1" + "}" * 101, "it nests deeper than 100 levels"),
        ('"\\ud800"', "it has half a surrogate pair, which is no Unicode text"),
        (b'["\xed\xa0\x80"]', "it has half a surrogate pair, which is no Unicode text"),
        ("[" * 100 + '"\\ud800"' + "]" * 100, "it has half a surrogate pair, which is no Unicode text"),
        ('[{"\\udc00": 1}]', "it has half a surrogate pair, which is no Unicode text"),
        ("1e999", "1e999 is too large for a number"),
        ("NaN", "JSON has no NaN"),
    ],
)
def test_any_other_text_is_refused_in_words(text: str | bytes, reason: str) -> None:
    with pytest.raises(BadDocumentError) as caught:
        read_json(text)
    assert (str(caught.value), caught.value.line) == (reason, None)


def test_100_levels_are_read() -> None:
    assert str(read_json("[" * 100 + "]" * 100)) == "[" * 100 + "]" * 100


def test_a_number_that_decimals_cannot_hold_is_refused() -> None:
    with pytest.raises(BadDocumentError):
        read_json("1e9999999999999999999", parse_float=Decimal)


@given(broken('{"a": ["b", 1.5, null], "c": {"d": "é"}}'))
def test_a_value_can_be_written_again(text: str) -> None:
    with suppress(BadDocumentError):
        assert json.dumps(read_json(text), ensure_ascii=False, allow_nan=False).encode()


def test_a_value_is_emptied_in_slices() -> None:
    inner: list[object] = [{"a": [1]}, []] * 5000
    whole: dict[str, object] = {"text": "a", "one": [[inner]], "two": {str(n): n for n in range(5000)}}
    two = whole["two"]
    assert len(list(free_in_slices(whole))) > len(inner) / 1000
    assert (whole, inner, two) == ({}, [], {})


def test_what_was_read_of_a_damaged_text_is_freed_in_slices() -> None:
    """At once, twenty million empty objects take a second."""
    text = '{"a":[[' + "{}," * 10_000
    reading = read_shaped_json(text + "{}]]}", short=10)
    whole = sum(1 for _ in reading)
    damaged = 0
    with suppress(BadDocumentError):
        for _ in read_shaped_json(text, short=10):
            damaged += 1
    assert damaged >= whole + 5


def test_the_excerpt_of_an_object_shows_its_first_names() -> None:
    """To sort a million of them takes long."""
    assert excerpt({f"k{9 - n}": n for n in range(10)}).startswith("{'k5'")
