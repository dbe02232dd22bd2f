"""The dependencies of installed distributions."""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator


def dependencies_of(dist: Distribution, extras: frozenset[str] = frozenset()) -> Iterator[tuple[str, Distribution]]:
    """All that a distribution needs on this machine, directly or not, by its name there."""
    for text in dist.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            needed = distribution(requirement.name)
            yield requirement.name, needed
            yield from dependencies_of(needed, frozenset(requirement.extras))
