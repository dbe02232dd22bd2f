"""The codec: values of annotated types to JSON values and back, and refusals with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypedDict

import pytest

from codeq_fake.core.codec import Int64, MismatchError, codec


class Colour(Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Shape:
    name: str
    colour: Colour | None
    points: tuple[Point, ...]


class Drawing(TypedDict):
    shapes: list[Shape]
    sizes: dict[str, Int64]
    pair: tuple[str, int]


DRAWING = {
    "shapes": [Shape("a", Colour.RED, (Point(1, 2.5),)), Shape("b", None, ())],
    "sizes": {"a": 1},
    "pair": ("c", 3),
}
JSON = {
    "shapes": [
        {"name": "a", "colour": "RED", "points": [[1, 2.5]]},
        {"name": "b", "colour": None, "points": []},
    ],
    "sizes": {"a": 1},
    "pair": ["c", 3],
}


def test_a_value_of_each_kind_of_type_round_trips() -> None:
    assert codec(Drawing).dump(DRAWING) == JSON
    assert codec(Drawing).load(JSON) == DRAWING


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"shapes": {}}, "shapes: found {}, a list belongs here"),
        ({"shapes": [{"name": "a"}]}, "shapes[0]: found {'name': 'a'}, an object of name, colour, points belongs here"),
        ({"sizes": []}, "sizes: found [], an object belongs here"),
        (
            {"sizes": {"a": 1 << 63}},
            "sizes.a: found 9223372036854775808, a whole number of at most 64 bits belongs here",
        ),
        ({"sizes": {"a": True}}, "sizes.a: found True, a whole number of at most 64 bits belongs here"),
        ({"pair": ["c"]}, "pair: found ['c'], a list of 2 belongs here"),
        ({"pair": ["\ud800", 3]}, r"pair[0]: found '\ud800', Unicode text belongs here"),
        (
            {"pair": ["c", 1 << 68]},
            "pair[1]: found 295147905179352825856, a whole number of at most 68 bits belongs here",
        ),
    ],
)
def test_a_value_of_another_shape_is_refused_with_its_place(change: dict[str, Any], text: str) -> None:
    with pytest.raises(MismatchError, match=f"^{re.escape(text)}$"):
        codec(Drawing).load({**JSON, **change})


@pytest.mark.parametrize(
    ("colour", "points", "text"),
    [
        ("GREEN", [], "shapes[0].colour: found 'GREEN', one of RED, BLUE belongs here"),
        (None, [[1, float("inf")]], "shapes[0].points[0][1]: found inf, a number belongs here"),
        (None, "x" * 50, f"shapes[0].points: found '{'x' * 36}..., a list belongs here"),
    ],
)
def test_the_place_leads_through_all_parts(colour: str | None, points: Any, text: str) -> None:
    shapes = [{"name": "a", "colour": colour, "points": points}]
    with pytest.raises(MismatchError, match=f"^{re.escape(text)}$"):
        codec(Drawing).load({**JSON, "shapes": shapes})


@pytest.mark.parametrize(
    ("shape", "item", "most"), [(list[str], "a", 100_000), (tuple[Point, ...], [1, 2.5], 5000)], ids=["texts", "rows"]
)
def test_a_list_that_would_take_long_to_load_is_refused(shape: Any, item: Any, most: int) -> None:
    """A history of a million entries, which no fake writes, would hold up all others for some seconds."""
    assert len(codec(shape).load([item] * most)) == most
    with pytest.raises(MismatchError, match=f"a list of at most {most} items belongs here"):
        codec(shape).load([item] * (most + 1))
