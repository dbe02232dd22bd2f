"""Known deviations of a target: what may fail, and must go on failing as long as it is listed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence


class DeviationsError(Exception):
    """The file is no list of deviations; the text says why."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A clause that a target does not keep, by `case` if not by all; `seldom` if it does not fail every time.

    A case without its parameters stands for all of them.
    """

    clause: str
    why: str
    case: str = ""
    seldom: bool = False

    def covers(self, case: str, clauses: Sequence[str]) -> bool:
        """Whether it excuses the failure of this case."""
        return self.clause in clauses and self.case in ("", case, case.partition("[")[0])


def read_deviations(source: str) -> tuple[Deviation, ...]:
    """Those of a file, of a version that comes with the suite, or of `none`.

    Raises OSError, and DeviationsError when it is no such list.
    """
    if source == "none":
        return ()
    ours = Path(__file__).parent / f"{source}.yaml"
    path = ours if ours.exists() else Path(source)
    try:
        return tuple(Deviation(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8")))
    except (TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DeviationsError(f"{path} is no list of known deviations: {' '.join(str(error).split())}") from error
