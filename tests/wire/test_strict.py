"""Strict JSON bodies: what Go's decoder refuses, in its words (G3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake import wire

STRUCT = wire.StrictStruct("Policy", "topic.Policy", {"tiers": "[]int", "most": "int", "name": "string"})


def text_of(body: bytes) -> str:
    with pytest.raises(wire.StrictError) as refused:
        wire.decode_strictly(body, STRUCT)
    return str(refused.value)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", {}),
        (b" null\n", {}),
        (b'{"tiers":[1,-2,null],"most":3,"name":"a"}', {"tiers": [1, -2, 0], "most": 3, "name": "a"}),
        (b'{"MOST":1,"most":2}', {"most": 2}),
        (b'{"most":1,"most":null,"tiers":[1],"tiers":null}', {"most": 1}),
        (b'{"name":"\\u00e9\xc3\xa9\\n"}\n\t ', {"name": "éé\n"}),
    ],
)
def test_an_object_is_read(body: bytes, fields: dict[str, object]) -> None:
    assert wire.decode_strictly(body, STRUCT) == fields


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "EOF"),
        (b" \n", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"most":1', "unexpected EOF"),
        (b'"a', "unexpected EOF"),
        (b"-", "unexpected EOF"),
        (b"1.", "unexpected EOF"),
        (b"tru", "unexpected EOF"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b"\x00", "invalid character '\\x00' looking for beginning of value"),
        (b"\xc3\xa9", "invalid character 'Ã' looking for beginning of value"),
        (b"'", "invalid character '\\'' looking for beginning of value"),
        (b'{,"', "invalid character ',' looking for beginning of object key string"),
        (b'{"most":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"most" 1}', "invalid character '1' after object key"),
        (b'{"most":1 "a":2}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b'{"a\n":1}', "invalid character '\\n' in string literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b'"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        (b"-x", "invalid character 'x' in numeric literal"),
        (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
        (b"1ex", "invalid character 'x' in exponent of numeric literal"),
        (b"trux", "invalid character 'x' in literal true (expecting 'e')"),
        (b"[" * 10_001, "exceeded max depth"),
        (b"{}{}", "only one JSON object is allowed"),
        (b"{} null", "only one JSON object is allowed"),
        (b"{} {", "unexpected EOF"),
        (b"{} 1", "json: cannot unmarshal number into Go value of type struct {}"),
        (b'{} {"a":1}', 'json: unknown field "a"'),
        (b"[]", "json: cannot unmarshal array into Go value of type topic.Policy"),
        (b"true", "json: cannot unmarshal bool into Go value of type topic.Policy"),
        (b'{"other":1,"most":"x"}', 'json: unknown field "other"'),
        (b'{"most":"x","other":1}', "json: cannot unmarshal string into Go struct field Policy.most of type int"),
        (b'{"most":{}}', "json: cannot unmarshal object into Go struct field Policy.most of type int"),
        (b'{"most":1e2}', "json: cannot unmarshal number 1e2 into Go struct field Policy.most of type int"),
        (
            b'{"most":9223372036854775808}',
            "json: cannot unmarshal number 9223372036854775808 into Go struct field Policy.most of type int",
        ),
        (b'{"name":1}', "json: cannot unmarshal number into Go struct field Policy.name of type string"),
        (b'{"tiers":1}', "json: cannot unmarshal number into Go struct field Policy.tiers of type []int"),
        (b'{"tiers":[true]}', "json: cannot unmarshal bool into Go struct field Policy.tiers of type int"),
    ],
)
def test_a_refused_body_has_the_text_of_go(body: bytes, text: str) -> None:
    assert text_of(body) == text


@given(st.one_of(st.binary(max_size=40), st.text(alphabet='{}[]":,\\u0123e.-+tfn ', max_size=40).map(str.encode)))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        fields = wire.decode_strictly(body, STRUCT)
    except wire.StrictError:
        return
    assert fields.keys() <= STRUCT.fields.keys()
