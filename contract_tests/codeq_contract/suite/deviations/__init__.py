"""Deviations: clauses that a target is known to break. Their cases must fail; one that passes is an error."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from codeq_contract.recordings.format import UNREADABLE


class DeviationsError(Exception):
    """The file is not a list of deviations. The text gives the reason."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A clause that a target breaks, in all cases or in `case` with any parameters.

    It is `rare` if they do not fail every time.
    """

    clause: str
    why: str
    case: str = ""
    rare: bool = False

    def covers(self, case: str, clauses: Sequence[str]) -> bool:
        """Whether the deviation explains the failure of this case."""
        return self.clause in clauses and self.case in ("", case, case.partition("[")[0])


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
    return Deviation(**fields)
