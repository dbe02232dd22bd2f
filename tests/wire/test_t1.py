"""The text into which a JSON value is re-encoded (T1)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.wire import ANY, Struct, decode
from codeq_fake.wire.encoder import Json, double

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def t1(text: str) -> str:
    text_of_value: str = decode(f'{{"value": [{text}]}}'.encode(), Struct({"value": ANY}))["value"]
    return text_of_value[1:-1]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        *[("0", "0"), ("-0", "-0"), ("-0.0", "-0"), ("0.0", "0"), ("0e5", "0"), ("1e-400", "0"), ("-1e-400", "-0")],
        *[
            ("1.0", "1"),
            ("-5.50", "-5.5"),
            ("1E5", "100000"),
            ("1e+2", "100"),
            ("0.1", "0.1"),
            ("12345678.9", "12345678.9"),
        ],
        *[("1e-6", "0.000001"), ("0.00001234", "0.00001234"), ("9.99e-7", "9.99e-7"), ("1e-7", "1e-7")],
        *[("3.0e-10", "3e-10"), ("5e-324", "5e-324"), ("1.5e300", "1.5e+300"), ("1.7976931348623157e308",) * 2],
        *[("1e15", "1000000000000000"), ("1e16", "10000000000000000"), ("1e20", "100000000000000000000")],
        *[("1e21", "1e+21"), ("-1e21", "-1e+21"), ("999999999999999999999", "1e+21"), ("1e22", "1e+22")],
        *[("9007199254740993", "9007199254740992"), ("123456789012345678", "123456789012345680")],
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("0.30000000000000004", "0.30000000000000004"),
    ],
)
def test_numbers_are_doubles_in_shortest_form(sent: str, stored: str) -> None:
    assert t1(sent) == stored.replace("e308", "e+308")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("\"<a href='x'>&</a>\"", r'"\u003ca href=' + "'x'" + r'\u003e\u0026\u003c/a\u003e"'),
        ('"\u2028\u2029"', r'"\u2028\u2029"'),
        (r'"\u2028\u2029"', r'"\u2028\u2029"'),
        (r'"\b\f\n\r\t\"\\\/"', r'"\b\f\n\r\t\"\\/"'),
        (r'"\u0000\u001b\u001f\u007f"', '"\\u0000\\u001b\\u001f\x7f"'),
        (r'"\u0008\u000c\u000A"', r'"\b\f\n"'),
        (r'"\u00e9 \ud83d\ude00"', '"\u00e9 \U0001f600"'),
        (r'"\\u003c"', r'"\\u003c"'),
    ],
)
def test_strings_are_escaped_where_go_escapes_them(sent: str, stored: str) -> None:
    assert t1(sent) == stored


def test_text_is_compact_and_names_are_sorted_by_their_bytes() -> None:
    assert t1(' { "b" : 1 , "a" : [ 1 , { } ] , "B" : null } ') == '{"B":null,"a":[1,{}],"b":1}'
    assert t1(r'{"\ue000":1,"\ud83d\ude00":2,"\uffff":3,"é":4,"aa":5,"a b":6,"":7}') == (
        '{"":7,"a b":6,"aa":5,"\u00e9":4,"\ue000":1,"\uffff":3,"\U0001f600":2}'
    )


@pytest.mark.parametrize("number", ["2", "2e-5"], ids=["fast", "exact"])
def test_of_repeated_names_in_a_payload_the_last_wins(number: str) -> None:
    assert (
        t1(f'{{"a": {{"x": 1}}, "b": {number}, "a": {{"y": 1}}}}') == f'{{"a":{{"y":1}},"b":{double(float(number))}}}'
    )


@given(DOUBLES)
def test_a_double_is_read_back_as_it_was(value: float) -> None:
    assert repr(float(double(value))) == repr(value)


@given(DOUBLES)
def test_a_double_has_an_exponent_only_below_1e_6_and_from_1e21(value: float) -> None:
    assert ("e" in double(value)) == (value != 0 and not 1e-6 <= abs(value) < 1e21)


VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | DOUBLES | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)


def in_doubles(value: Json) -> Json:
    """The value as a reader of T1 text sees it: every number is a double."""
    if isinstance(value, dict):
        return {name: in_doubles(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def with_numbers_as_doubles(text: str) -> Json:
    value: Json = json.loads(text, parse_int=float)
    return value


@given(VALUES, st.booleans())
def test_the_text_says_the_same_as_the_value(value: Json, ascii_only: bool) -> None:  # noqa: FBT001 - drawn
    assert with_numbers_as_doubles(t1(json.dumps(value, ensure_ascii=ascii_only))) == in_doubles(value)


@given(VALUES)
def test_re_encoding_the_text_changes_nothing(value: Json) -> None:
    text = t1(json.dumps(value))
    assert t1(text) == text


@given(VALUES)
def test_the_text_holds_no_blanks_and_nothing_that_html_gives_a_meaning_to(value: Json) -> None:
    text = t1(json.dumps(value, indent=1, ensure_ascii=False))
    assert not set("<>&\n\t\u2028\u2029") & set(text)


@given(st.dictionaries(st.text(), st.integers(0, 9)))
def test_names_are_in_the_order_of_their_utf8(value: dict[str, Json]) -> None:
    names = list(json.loads(t1(json.dumps(value))))
    assert names == sorted(value, key=str.encode)
