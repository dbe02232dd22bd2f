"""Schemas of request bodies: the Go types of their fields, as data."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, TypeAlias


class BadBody(Exception):
    """The body is not JSON as Go reads it, or a field has the wrong type."""


class Scalar(Enum):
    """A Go type that is not a struct or a slice."""

    STRING = auto()
    INT = auto()  # of 64 bits
    ANY = auto()
    OBJECT = auto()


STRING = Scalar.STRING
INT = Scalar.INT
ANY = Scalar.ANY
OBJECT = Scalar.OBJECT


class LIST_OF(NamedTuple):  # noqa: N801 - stands beside STRING and INT in a schema
    """A Go slice of strings or of structs."""

    item: Scalar | Struct
    most: int = sys.maxsize
    """How many items a request may have. The decoder does not check it."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: the JSON names of its fields (ASCII, as the contract writes them) and their types."""

    fields: Mapping[str, Kind]
    is_lenient: bool = False
    """Whether what cannot be read is passed over instead of refused (B2)."""
    folded: Mapping[str, str] = field(init=False)
    """The folded names, for comparison, and the names."""
    plain: Mapping[str, type] = field(init=False)
    """The STRING and INT fields, and the types of their values when Python has read them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folded", {fold(name): name for name in self.fields})
        plain = {name: str if kind is STRING else int for name, kind in self.fields.items() if kind in (STRING, INT)}
        object.__setattr__(self, "plain", plain)


Kind: TypeAlias = Scalar | LIST_OF | Struct


def fold(name: str) -> str:
    """The form in which field names are compared: equal under Unicode simple folding (B1).

    It is exact for ASCII names. Outside ASCII only LONG S and KELVIN SIGN fold to ASCII, and `lower` knows the second.
    """
    return name.replace("\u017f", "s").lower()
