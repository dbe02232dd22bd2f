"""Deviations: clauses that a target is known to break, always or by a race, and how often at most."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, exp, lgamma
from pathlib import Path
from typing import Any

import yaml

from codeq_contract.recordings.format import UNREADABLE


class DeviationsError(Exception):
    """The file is not a list of deviations. The text gives the reason."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A clause that a target breaks, in all cases or in `case` with any parameters, and on all stores or on `store`.

    Its cases must fail, unless it is `rare`. If it has `races`, a failure counts as known only if its calls show one of
    them, and if no more than `at_most` of `tries` further tries fail, `at_once` at a time. The bound was drawn from the
    target on which `seen[0]` of `seen[1]` such tries failed.
    """

    clause: str
    why: str
    case: str = ""
    store: str = ""
    rare: bool = False
    races: tuple[str, ...] = ()
    seen: tuple[int, int] = (0, 0)
    tries: int = 0
    at_most: int = 0
    at_once: int = 1

    def covers(self, case: str, clauses: Sequence[str], store: str = "") -> bool:
        """Whether the deviation is about this case on a server with this store."""
        names = ("", case, case.partition("[")[0])
        return self.clause in clauses and self.case in names and self.store in ("", store)

    @property
    def false_alarm(self) -> float:
        """The chance that the target on which it was seen exceeds the bound, as far as its rate is known.

        The rate is unknown between the limits that `seen` sets: beta-binomial, with Jeffreys' prior.
        """
        failed, passed = self.seen[0] + 0.5, self.seen[1] - self.seen[0] + 0.5
        scale = _log_beta(failed, passed)
        return sum(
            comb(self.tries, number) * exp(_log_beta(number + failed, self.tries - number + passed) - scale)
            for number in range(self.at_most + 1, self.tries + 1)
        )


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def read_deviations(source: str) -> tuple[Deviation, ...]:
    """The deviations in a file, of a version that the suite knows, or of `none`.

    Raises OSError, and DeviationsError if the file is not a list of deviations.
    """
    if source == "none":
        return ()
    known = Path(__file__).parent / f"{source}.yaml"
    path = known if known.exists() else Path(source)
    try:
        return tuple(map(_deviation, yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (yaml.YAMLError, *UNREADABLE) as error:
        raise DeviationsError(f"{path} is not a list of known deviations: {' '.join(str(error).split())}") from error


def _deviation(entry: Mapping[str, Any]) -> Deviation:
    fields = dict(entry)
    if "seldom" in fields:
        warnings.warn("`seldom` in a list of known deviations is now `rare`", DeprecationWarning, stacklevel=2)
        fields["rare"] = fields.pop("seldom")
    for name in ("races", "seen"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return Deviation(**fields)
