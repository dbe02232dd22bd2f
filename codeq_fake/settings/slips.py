"""Slips of the keys: a name that is set, that nothing reads, and that is nearly one that is read."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Of what is shorter, others' names are too often near.
_SHORTEST = 8


def slips(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Those of ``names`` that are one slip away from a ``known`` one, with that one."""
    unknown = [name for name in names if name not in known]
    return {name: meant for name in unknown for meant in known if len(meant) >= _SHORTEST and _is_one_slip(name, meant)}


def _is_one_slip(written: str, meant: str) -> bool:
    """Whether one character is missing, too many or another, or two neighbours are swapped."""
    if abs(len(written) - len(meant)) > 1:
        return False
    left, right = _from_where_they_part(written, meant)
    left, right = _from_where_they_part(left[::-1], right[::-1])
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])  # noqa: PLR2004 - a pair


def _from_where_they_part(left: str, right: str) -> tuple[str, str]:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))
    return left[shared:], right[shared:]
