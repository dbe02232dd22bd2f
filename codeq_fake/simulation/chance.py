"""Chance in a simulated world: each host has its own, so that what one of them draws moves no other."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .incarnation import CURRENT


class Chance:
    """The generators of all hosts. `draws` gives one for each key."""

    def __init__(self, draws: Callable[[str], Random]) -> None:
        self._draws = draws
        self._generators: dict[tuple[str, str], Random] = {}

    def entropy(self) -> Random:
        """What the machine's entropy is drawn from, on the host that runs or in the test itself."""
        return self._of("entropy")

    def numbers(self) -> Random:
        """What the functions of the module `random` draw from. A program may seed it."""
        return self._of("random")

    def _of(self, purpose: str) -> Random:
        incarnation = CURRENT.get()
        host = incarnation.host.name if incarnation is not None else ""
        generator = self._generators.get((purpose, host))
        if generator is None:
            generator = self._generators[purpose, host] = self._draws(f"{purpose} of {host}")
        return generator
