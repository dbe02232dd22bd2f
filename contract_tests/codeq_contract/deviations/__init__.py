"""Known deviations of a target: what may fail, and must go on failing as long as it is listed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Deviation:
    """A clause that a target does not keep, by `case` if not by all; `seldom` if it does not fail every time."""

    clause: str
    why: str
    case: str = ""
    seldom: bool = False

    def covers(self, case: str, clauses: Sequence[str]) -> bool:
        """Whether it excuses the failure of this case."""
        return self.clause in clauses and self.case in ("", case)


def read_deviations(source: str) -> tuple[Deviation, ...]:
    """Those of a file, of a version that comes with the suite, or of `none`.

    Raises OSError, and TypeError or yaml.YAMLError when it is no such list.
    """
    if source == "none":
        return ()
    ours = Path(__file__).parent / f"{source}.yaml"
    path = ours if ours.exists() else Path(source)
    return tuple(Deviation(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8")))
