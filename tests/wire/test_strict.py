"""Strict JSON bodies. What is refused, and in which words, is in the contract suite (G3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake import wire

STRUCT = wire.StrictStruct(
    "Policy",
    "topic.Policy",
    wire.Struct({"tiers": wire.LIST_OF(wire.INT), "most": wire.INT, "name": wire.STRING}),
)


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


@given(st.one_of(st.binary(max_size=40), st.text(alphabet='{}[]":,\\u0123e.-+tfn ', max_size=40).map(str.encode)))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        fields = wire.decode_strictly(body, STRUCT)
    except wire.StrictError:
        return
    assert fields.keys() <= STRUCT.body.fields.keys()
