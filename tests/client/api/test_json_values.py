"""Payloads and results are returned unchanged, or refused."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, MutableSequence  # `from_json` reads them at run time
from datetime import UTC, date, datetime
from enum import Enum, StrEnum
from typing import Any, Final, Literal, NewType, NotRequired, TypedDict
from uuid import UUID

import attrs
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from codeq_client._api.json_values import WRAPPER, dumps, from_json, to_json, unwrap_result, wrap_result
from codeq_client.errors import ConfigurationError, DecodeError, EncodeError

EXACT = 2**53
scalars = st.none() | st.booleans() | st.integers(-EXACT, EXACT) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_json_value_is_returned_unchanged(value: Any) -> None:
    assert json.loads(dumps(value)) == value


@given(values)
def test_every_result_is_stored_as_an_object_and_returned_unchanged(value: Any) -> None:
    stored = wrap_result(value)
    assert isinstance(stored, dict)
    assert unwrap_result(json.loads(json.dumps(stored))) == value


def test_an_object_is_stored_as_it_is() -> None:
    assert wrap_result({"a": 1, "b": None}) == {"a": 1, "b": None}
    assert wrap_result([1]) == {WRAPPER: [1]}


class Colour(Enum):
    RED = "red"


class Kind(StrEnum):
    A = "a"


class Size(str, Enum):  # noqa: UP042 - as before Python 3.11
    LARGE = "l"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Shape(TypedDict):
    sides: int
    at: NotRequired[Point]


@dataclasses.dataclass(frozen=True)
class Order:
    jobId: str  # noqa: N815 - a name must travel as it is
    points: list[Point]
    colour: Colour = Colour.RED
    note: str | None = None
    when: datetime | None = None
    key: UUID | None = None
    pair: tuple[int, str] = (0, "")
    tags: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    mode: Literal["fast", "slow"] = "fast"
    day: date | None = None
    shape: Shape | None = None
    kind: Kind = Kind.A
    anything: Any = None


@dataclasses.dataclass
class Stock:
    by_colour: dict[Colour, int]
    by_kind: dict[Kind, int]
    by_size: dict[Size, int]


def test_an_enum_as_a_key_is_sent_as_its_value_and_returned_unchanged() -> None:
    stock = Stock({Colour.RED: 1}, {Kind.A: 2}, {Size.LARGE: 3})
    assert to_json(stock) == {"by_colour": {"red": 1}, "by_kind": {"a": 2}, "by_size": {"l": 3}}
    assert from_json(Stock, to_json(stock)) == stock


def test_a_dataclass_is_returned_unchanged() -> None:
    order = Order(
        "1",
        [Point(1.0), Point(2.5, -1.0)],
        note=None,
        when=datetime(2026, 11, 24, tzinfo=UTC),
        key=UUID(int=7),
        pair=(3, "x"),
        sizes={"a_b": 1},
        mode="slow",
        day=date(2026, 1, 2),
        shape={"sides": 3},
        anything={"x": [None]},
    )
    sent = json.loads(dumps(dataclasses.replace(order, tags=())))  # type: ignore[arg-type]  # JSON has no sets
    assert sent["jobId"] == "1"
    assert sent["note"] is None
    assert from_json(Order, sent) == order


@attrs.define
class Dot:
    x: int
    _hidden: list[float] = attrs.field(factory=list)


class Item(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel)

    item_number: int
    bought_at: datetime | None = None


class Cart(pydantic.BaseModel):
    items: list[Item]


def test_attrs_and_pydantic_models_are_returned_unchanged() -> None:
    dot, cart = (
        Dot(1, [2.5]),
        Cart(items=[Item.model_validate({"itemNumber": 3, "boughtAt": datetime(2026, 1, 1, tzinfo=UTC)})]),
    )
    sent = json.loads(dumps([dot, cart]))
    assert sent == [
        {"x": 1, "_hidden": [2.5]},
        {"items": [{"itemNumber": 3, "boughtAt": "2026-01-01T00:00:00Z"}]},
    ]
    assert from_json(Dot, sent[0]) == dot
    assert from_json(Cart, sent[1]) == cart
    assert from_json(Dot, {"x": 1, "later": True}) == Dot(1)
    with pytest.raises(DecodeError, match="valid integer"):
        from_json(Item, {"itemNumber": "three"})
    with pytest.raises(DecodeError, match=r"\$\.x: expected int"):
        from_json(Dot, {"x": "1"})


def test_a_root_model_is_sent_as_its_value() -> None:
    numbers = pydantic.RootModel[list[int]]([1, 2])
    assert to_json({"numbers": numbers}) == {"numbers": [1, 2]}
    assert wrap_result(numbers) == {"$value": [1, 2]}
    assert from_json(pydantic.RootModel[list[int]], [1, 2]) == numbers


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Order, {"jobId": 1, "points": []}, r"\$\.jobId: expected str, got 1"),
        (Order, {"points": []}, r"\$: .*jobId"),
        (Order, {"jobId": "1", "points": [{"x": "far"}]}, r"\$\.points\[0\]\.x: expected float"),
        (Order, [], r"expected an object \(Order\)"),
        (int, True, "expected int"),
        (Colour, "blue", "blue"),
        (tuple[int, int], [1], "expected a list of 2"),
        (list[int], {}, "expected a list"),
        (dict[str, int], [], "expected an object"),
        (dict[int, str], {"1": "a"}, r"\$\.1: expected int, got '1'"),
        (int | None, "x", "expected int.*; .*expected NoneType"),
        (Literal["a", 1], "b", "Literal"),
        (Shape, 3, "expected an object"),
        (Shape, {}, "expected an object with the key 'sides'"),
        (Shape, {"sides": "4"}, r"\$.sides: expected int"),
        (Shape, {"sides": 4, "at": {}}, r"\$.at: "),
        (datetime, "noon", "noon"),
        (UUID, "7", "UUID"),
        (list[float], [1, 10**309], r"\$\[1\]: .*too large"),
    ],
)
def test_a_value_of_another_type_is_reported_with_its_path(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        from_json(kind, value)


@pytest.mark.parametrize("kind", [int | str, tuple[str, ...], set[str]])
def test_other_types_that_fit(kind: Any) -> None:
    assert from_json(kind, "a" if kind == int | str else ["a"])


Id = NewType("Id", str)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (dict[UUID, int], {str(UUID(int=7)): 1}, {UUID(int=7): 1}),
        (dict[Literal["a"], int], {"a": 1}, {"a": 1}),
        (dict[Colour, int], {"red": 1}, {Colour.RED: 1}),
        (dict[Id, int], {"a": 1}, {"a": 1}),
        (OrderedDict[str, int], {"a": 1}, OrderedDict(a=1)),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (deque[int], [1], deque([1])),
        (MutableSequence[int], [1], [1]),
        (frozenset[int], [1], frozenset({1})),
    ],
)
def test_a_container_is_of_its_type_with_keys_of_theirs(kind: Any, value: Any, expected: Any) -> None:
    built = from_json(kind, value)
    assert built == expected
    assert type(built) is type(expected)


@dataclasses.dataclass
class Unresolved:
    when: Timer  # type: ignore[name-defined]  # noqa: F821 - as a name that is imported only for type checking


@pytest.mark.parametrize("kind", [type[int], Unresolved, 7, Final[int], Counter[str], defaultdict[str, int]])
def test_a_type_that_no_json_can_become_is_a_configuration_error(kind: Any) -> None:
    with pytest.raises(ConfigurationError):
        from_json(kind, {})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [2**53 + 1]}, r"\$\.a\[0\]: the server would round"),
        (10**400, "the server would round"),
        ([float("nan")], r"\$\[0\]: JSON has no nan"),
        (float("inf"), "JSON has no inf"),
        ({1: 2}, "the key 1 is not a string"),
        ({"s": {1, 2}}, r"\$\.s: a set is not a JSON value"),
        (b"x", "a bytes is not a JSON value"),
        (object, "a type is not a JSON value"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_values_that_json_would_change_are_refused_with_their_path(value: Any, message: str) -> None:
    with pytest.raises(EncodeError, match=message):
        dumps(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(EncodeError, match="contains itself"):
        dumps(value)


@pytest.mark.parametrize("value", [2**53, 2**60, -(2**63), 1e300, -0.0])
def test_numbers_that_a_double_represents_are_sent(value: float) -> None:
    assert json.loads(dumps(value)) == value
