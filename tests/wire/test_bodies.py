"""Reading of request bodies (B1, B2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codeq_fake.wire import ANY, INT, LIST_OF, OBJECT, STRING, BadBody, Struct, decode
from codeq_fake.wire.binder import bind
from codeq_fake.wire.decoder import Unusual, check_depth, decode_ordinary
from codeq_fake.wire.scanner import scan

if TYPE_CHECKING:
    from codeq_fake.wire.encoder import Json

ITEM = Struct({"command": STRING, "priority": INT, "payload": ANY})
BODY = Struct(
    {
        "command": STRING,
        "delaySeconds": INT,
        "payload": ANY,
        "result": OBJECT,
        "commands": LIST_OF(STRING),
        "tasks": LIST_OF(ITEM),
    }
)


def read(body: str | bytes) -> dict[str, Any]:
    return decode(body.encode() if isinstance(body, str) else body, BODY)


def refuses(body: str | bytes) -> bool:
    try:
        read(body)
    except BadBody:
        return True
    return False


def test_a_body_gives_the_fields_that_it_sets() -> None:
    assert read(
        '{"command": "C", "delaySeconds": 5, "payload": {"b": 1, "a": [null]}, "tasks": [{"priority": 1}]}'
    ) == {
        "command": "C",
        "delaySeconds": 5,
        "payload": '{"a":[null],"b":1}',
        "tasks": [{"priority": 1}],
    }


@pytest.mark.parametrize("name", ["Command", "COMMAND", "cOmMaNd"])
def test_field_names_match_in_any_case(name: str) -> None:
    assert read(f'{{"{name}": "C"}}') == {"command": "C"}


def test_field_names_match_by_unicode_simple_folding() -> None:
    assert read('{"delay\u017feconds": 1}') == {"delaySeconds": 1}
    assert decode('{"to\u212aen": "t"}'.encode(), Struct({"token": STRING})) == {"token": "t"}


@pytest.mark.parametrize("name", ["tasks ", "ta\u00dfks", "delaySeconds\u0307", "\uff43ommand", "resu\u0131t", ""])
def test_other_names_are_ignored(name: str) -> None:
    assert read(f'{{"{name}": [{{"x": 1}}], "command": "C"}}') == {"command": "C"}


def test_of_repeated_names_the_last_wins() -> None:
    assert read('{"command": "A", "COMMAND": "B"}') == {"command": "B"}
    assert read('{"delaySeconds": 1, "delaySeconds": 2}') == {"delaySeconds": 2}
    assert read('{"payload": {"a": 1}, "payload": {"b": 2}}') == {"payload": '{"b":2}'}


def test_null_leaves_a_string_and_an_integer_as_they_are() -> None:
    assert read('{"command": null, "delaySeconds": null}') == {}
    assert read('{"command": "A", "command": null, "delaySeconds": 1, "delaySeconds": null}') == {
        "command": "A",
        "delaySeconds": 1,
    }


@pytest.mark.parametrize("name", ["payload", "result", "commands", "tasks"])
def test_null_empties_what_is_no_plain_value(name: str) -> None:
    filled = {"payload": "1", "result": '{"a": 1}', "commands": '["A"]', "tasks": "[{}]"}[name]
    assert set(read(f'{{"{name}": {filled}}}')) == {name}
    assert read(f'{{"{name}": {filled}, "{name}": null}}') == {}


def test_repeated_objects_are_merged() -> None:
    body = '{"result": {"a": 1, "b": {"c": 1}}, "result": {"b": {"d": 2}}, "result": {}}'
    assert read(body) == {"result": '{"a":1,"b":{"d":2}}'}
    assert read('{"result": {"a": 1}, "result": null, "result": {"b": 2}}') == {"result": '{"b":2}'}


def test_items_of_a_repeated_list_are_decoded_into_those_of_the_one_before() -> None:
    assert read('{"tasks": [{"command": "A"}], "tasks": [{"priority": 1}, {}]}') == {
        "tasks": [{"command": "A", "priority": 1}, {}]
    }
    assert read('{"commands": ["A", "B"], "commands": ["C"], "commands": [null, null]}') == {"commands": ["C", "B"]}


@pytest.mark.parametrize("between", ["[]", "null"])
def test_an_empty_list_between_two_lists_lets_nothing_show_through(between: str) -> None:
    assert read(f'{{"commands": ["A"], "commands": {between}, "commands": [null]}}') == {"commands": [""]}


def test_null_items_are_zero_values() -> None:
    assert read('{"commands": ["A", null], "tasks": [null]}') == {"commands": ["A", ""], "tasks": [{}]}


def test_empty_values_are_there() -> None:
    body = '{"command": "", "delaySeconds": 0, "payload": false, "result": {}, "commands": [], "tasks": []}'
    assert read(body) == {
        "command": "",
        "delaySeconds": 0,
        "payload": "false",
        "result": "{}",
        "commands": [],
        "tasks": [],
    }


@pytest.mark.parametrize(
    "field",
    [
        *('"command": 1', '"command": true', '"command": []', '"command": {}'),
        *('"delaySeconds": "1"', '"delaySeconds": true', '"delaySeconds": [1]', '"delaySeconds": {}'),
        *('"delaySeconds": 5.0', '"delaySeconds": 5.5', '"delaySeconds": 1e1', '"delaySeconds": -0.0'),
        *('"delaySeconds": 9223372036854775808', '"delaySeconds": -9223372036854775809', '"delaySeconds": 1e400'),
        *('"result": []', '"result": "{}"', '"result": 1', '"result": false'),
        *('"commands": "A"', '"commands": {}', '"commands": [1]', '"commands": [["A"]]', '"commands": 0'),
        *('"tasks": {}', '"tasks": [1]', '"tasks": ["A"]', '"tasks": [[]]', '"tasks": [{"priority": "1"}]'),
        *('"tasks": [{"payload": 1e400}]', '"tasks": [{}, {"command": 1}]'),
    ],
)
def test_a_wrong_type_is_a_bad_body(field: str) -> None:
    assert refuses(f"{{{field}}}")
    name, _, _ = field.partition(":")
    assert refuses(f'{{{field}, {name}: null, "command": "C"}}')


@pytest.mark.parametrize("number", [0, -1, 15, 10**15, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_integers_are_exact_up_to_64_bits(number: int) -> None:
    assert read(f'{{"delaySeconds": {number}}}') == {"delaySeconds": number}


def test_minus_zero_is_an_integer() -> None:
    assert read('{"delaySeconds": -0}') == {"delaySeconds": 0}


@pytest.mark.parametrize("name", ["payload", "result"])
@pytest.mark.parametrize("number", ["1e400", "-1e309", "1.8e308", "9" * 400])
def test_a_number_beyond_a_double_is_a_bad_body(number: str, name: str) -> None:
    assert refuses(f'{{"{name}": {{"a": [{number}]}}}}')
    assert refuses(f'{{"{name}": {{"a": {number}, "a": 1}}}}')
    assert refuses(f'{{"{name}": {{"a": {number}}}, "{name}": {{"a": 1}}}}')


def test_a_number_in_an_unknown_field_may_have_any_size() -> None:
    assert read('{"unknown": [1e400], "tasks": [{"unknown": -1e400}]}') == {"tasks": [{}]}


@pytest.mark.parametrize("rest", ["", "}", " trailing", "{}", "\x00", "\ufeff"])
def test_what_follows_the_first_value_is_ignored(rest: str) -> None:
    assert read(f'{{"command": "C"}}{rest}') == {"command": "C"}
    assert read(b'{"command": "C"}\xff') == {"command": "C"}


def test_null_alone_counts_as_an_empty_object() -> None:
    assert read("null") == {}
    assert read(" null{") == {}


@pytest.mark.parametrize(
    "body", ["", " ", "\n\t\r ", "nul", "[]", '"x"', "1", "true", "\ufeff{}", "\u00a0{}", "\x0c{}"]
)
def test_a_body_that_is_no_object_is_bad(body: str) -> None:
    assert refuses(body)


@pytest.mark.parametrize(
    "value",
    [
        *("NaN", "Infinity", "-Infinity", "01", "-01", "1.", ".5", "+1", "-", "1e", "1e+", "0x1", "1_000", "\u0661"),
        *(
            "tru",
            "True",
            "nulll",
            "undefined",
            "'a'",
            '"',
            '"a',
            '"\\"',
            '"\\x41"',
            '"\\u12"',
            '"\\u12g4"',
            '"\\u 123"',
        ),
        *('"\x00"', '"\n"', '"\x1f"', "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1}", '{"a"', '{"a":', "{,}"),
        *(
            '{"a":1',
            '{"a":1,',
            '{"a":1,}',
            '{"a" 1}',
            "{a:1}",
            "{1:1}",
            '{"a":1]',
            "{]",
            "",
            ",",
            ":",
            "// c\n1",
            "1 1",
        ),
    ],
)
def test_json_is_strict(value: str) -> None:
    assert refuses(f'{{"payload": {value}}}')
    assert refuses(f'{{"unknown": {value}}}')


@pytest.mark.slow
@pytest.mark.parametrize("name", ["payload", "result", "unknown"])
@pytest.mark.parametrize(("opening", "closing", "levels"), [("[", "]", 1), ('{"a":', "}", 1), ('[{"a":', "}]", 2)])
def test_10000_levels_of_nesting_are_legal_and_one_more_is_not(
    name: str, opening: str, closing: str, levels: int
) -> None:
    times = 9_998 // levels
    value = f"{opening * times}1{closing * times}"
    assert read(f'{{"{name}": {{"v": {value}}}}}').get(name) == (None if name == "unknown" else f'{{"v":{value}}}')
    assert refuses(f'{{"{name}": {{"v": [{value}]}}}}')


def test_a_wide_value_is_not_taken_for_a_deep_one() -> None:
    wide = ",".join(["[]"] * 20_000)
    assert decode_ordinary(f'{{"payload": [{wide}]}}'.encode(), BODY) == {"payload": f"[{wide}]"}


def test_the_fast_path_leaves_deep_values_alone_even_where_python_could_read_them() -> None:
    value: Json = []
    for _ in range(9_999):
        value = [1, value]
    body = b"[" * 10_001
    check_depth(body, value)
    with pytest.raises(Unusual):
        check_depth(body, {"a": value})
    check_depth(body[1:], {"a": value})  # it does not look at the value


def test_invalid_utf8_becomes_a_replacement_character_for_each_byte() -> None:
    assert read(b'{"command": "a\xe4\xb8b\xff"}') == {"command": "a\ufffd\ufffdb\ufffd"}
    assert read(b'{"payload": "\xed\xa0\x80"}') == {"payload": '"\ufffd\ufffd\ufffd"'}
    assert refuses(b'{\xff"command": "a"}')


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (r"\ud800", "\ufffd"),
        (r"\udc00\ud800", "\ufffd\ufffd"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ud83d \ude00", "\ufffd \ufffd"),
        (r"\\ud800", r"\ud800"),
    ],
)
def test_a_lone_surrogate_becomes_a_replacement_character(written: str, read_as: str) -> None:
    assert read(f'{{"command": "{written}"}}') == {"command": read_as}
    assert read(f'{{"commands": ["{written}"]}}') == {"commands": [read_as]}


JSON_TEXTS = st.sampled_from(
    [
        *(
            "null",
            "true",
            "false",
            "0",
            "-0",
            "7",
            "5.0",
            "0.0",
            "-0.0",
            "0.5",
            "-12.34",
            "1e1",
            "1e-5",
            "1e-7",
            "1e22",
        ),
        *("1e400", "123456789012345678", "9223372036854775808", "1e16", '"a"', '"<\\u00e9\u2028"', '"\\ud83d\\ude00"'),
        *('"\\ud800"', '"\\\\ud800"', "[]", "{}", "01", "NaN", '"', "[1,]"),
    ]
)
NAMES = st.sampled_from([*BODY.fields, "Command", "TASKS", "delay\u017feconds", "a", "b", "", "\u00e9", "\\u0061"])


def _containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.builds('"{}" : {}'.format, NAMES, inner), max_size=4)
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{' ,'.join(items)}]"),
        members.map(lambda texts: f"{{{', '.join(texts)}}}"),
    )


VALUES = st.recursive(JSON_TEXTS, _containers, max_leaves=12)
OBJECTS = st.lists(st.builds('"{}":{}'.format, NAMES, VALUES), max_size=5).map(lambda texts: f"{{{','.join(texts)}}}")


def exactly(body: bytes) -> dict[str, Any] | None:
    try:
        return bind(scan(body), BODY)
    except BadBody:
        return None


@given(OBJECTS)
@example(
    '{"command":"A","delaySeconds":3,"payload":{"b":0.5,"a":"<"},"commands":["A",null],"tasks":[null,{"payload":1}]}'
)
@example('{"payload":[0.0,1e22,5e-10,123456789012345678,-1e20,"\\ud83d\\ude00"]}')
def test_the_fast_path_agrees_with_the_exact_one(body: str) -> None:
    try:
        fast = decode_ordinary(body.encode(), BODY)
    except (Unusual, ValueError):
        return
    assert fast == exactly(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        '{"command": "A", "payload": {"size": 42, "ratio": 0.5, "big": 12345678901234567890}, "unknown": [1]}',
        '{"payload": "\\u00e9 \\ud83d\\ude00", "tasks": [{"payload": 1.0}, null], "commands": ["A", null]}',
    ],
)
def test_ordinary_bodies_take_the_fast_path(body: str) -> None:
    assert decode_ordinary(body.encode(), BODY) == exactly(body.encode())


@given(st.one_of(st.binary(max_size=60), OBJECTS.map(str.encode)), st.data())
@example(b"\xef\xbb\xbf{}", None)
def test_any_bytes_are_a_body_or_a_bad_one(body: bytes, data: st.DataObject | None) -> None:
    if data is not None and body:
        at = data.draw(st.integers(0, len(body) - 1))
        body = body[:at] + data.draw(st.binary(max_size=2)) + body[at + data.draw(st.integers(0, 2)) :]
    try:
        got: dict[str, Any] | None = decode(body, BODY)
    except BadBody:
        got = None
    assert got == exactly(body)
