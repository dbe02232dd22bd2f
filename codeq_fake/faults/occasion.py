"""An occasion: a request, or a try of a callback, by what a rule can go by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occasion:
    """What may go wrong. ``names`` is what a rule's ``on`` may call it; commands are in lower case (C2)."""

    names: frozenset[str]
    worker: str = ""
    commands: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
