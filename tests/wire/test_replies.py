"""Encoding of replies and callbacks (R23, W1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.wire import callback_text, encode, quote
from codeq_fake.wire.encoder import encode_sorted, make_encoder

if TYPE_CHECKING:
    from codeq_fake.wire.encoder import Json

REPLIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


def test_keys_stay_in_the_order_given() -> None:
    assert encode({"b": 1, "a": [True, None, "x"], "0": {}}) == '{"b":1,"a":[true,null,"x"],"0":{}}'


def test_integers_keep_all_their_digits() -> None:
    assert encode([2**53 + 1, -(2**63), 0]) == "[9007199254740993,-9223372036854775808,0]"


def test_python_without_its_c_encoder_writes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    value: Json = {"b": [1, "\u00e9\n", None], "a": {"d": False, "c": 0.5}}
    monkeypatch.setattr("json.encoder.c_make_encoder", None)
    assert make_encoder(sort_keys=False)(value) == encode(value)
    assert make_encoder(sort_keys=True)(value) == encode_sorted(value)


def test_errors_are_escaped_as_html() -> None:
    assert encode({"error": "invalid 'delaySeconds' (must be >= 0)"}) == (
        '{"error":"invalid \'delaySeconds\' (must be \\u003e= 0)"}'
    )


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("", '""'),
        ('a"b\\c/d', r'"a\"b\\c/d"'),
        ("\x00\x1b\b\f\n\r\t\x7f", '"\\u0000\\u001b\\b\\f\\n\\r\\t\x7f"'),
        ("<&>\u2028\u2029", r'"\u003c\u0026\u003e\u2028\u2029"'),
        ("é中\U0001f600\ufffd", '"é中\U0001f600\ufffd"'),
        ("\udcffx\ud800", r'"\ufffdx\ufffd"'),
    ],
)
def test_strings_are_quoted_as_go_quotes_them(text: str, literal: str) -> None:
    assert quote(text) == literal
    assert encode(text) == literal
    assert encode({text: text}) == f"{{{literal}:{literal}}}"


@given(st.text())
def test_a_quoted_string_is_read_back_as_it_was(text: str) -> None:
    assert json.loads(quote(text)) == text
    assert not set("<>&\u2028\u2029") & set(quote(text))


@given(REPLIES)
def test_a_reply_is_read_back_as_it_was(value: object) -> None:
    assert json.loads(encode(value)) == value  # type: ignore[arg-type]  # drawn as JSON


def test_callbacks_have_other_escapes() -> None:
    assert callback_text(r'{"a":"\u003cb\u003e\u0026\u2028\n\"\b\u0000"}') == '{"a":"<b>&\u2028\\n\\"\\u0008\\u0000"}'


def test_an_escaped_backslash_escapes_nothing_else() -> None:
    assert callback_text(r'"\\u003c \\\u003c \\\\u003c"') == r'"\\u003c \\< \\\\u003c"'


@given(REPLIES)
def test_the_text_of_a_callback_has_the_same_value(value: object) -> None:
    text = encode(value)  # type: ignore[arg-type]  # drawn as JSON
    assert json.loads(callback_text(text)) == value
    assert callback_text(callback_text(text)) == callback_text(text)


@given(st.text(alphabet="<>&\\u03ce26\u2028\n"))
def test_a_callback_has_no_escape_but_those_of_json(text: str) -> None:
    assert callback_text(quote(text)) == json.dumps(text, ensure_ascii=False)
