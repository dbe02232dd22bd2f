"""The results of trials and the reach of the cases, which are kept for the next run as long as they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import click

from tests.mutants import suite
from tests.mutants.at_large.cases import SURVIVES
from tests.mutants.at_large.changes import Change, changes
from tests.mutants.at_large.survivors import REASONS, reason_of
from tests.mutants.building import FAKE

_FOLDER = Path("build", "changes-at-large")


class Results:
    """What killed each change. With `keeps` they are those of earlier runs, too, and kept for the next.

    That a case killed a change holds until the file of the change or of the case differs, that none did until any does.
    """

    def __init__(self, *, keeps: bool) -> None:
        self.verdicts: dict[str, str] = {}
        self._file = _FOLDER / "results.jsonl" if keeps else None
        if self._file and self._file.exists():
            for line in self._file.read_text(encoding="utf-8").splitlines():
                name, killer, basis = json.loads(line)
                if name in changes() and basis == _basis(changes()[name], killer):
                    self.verdicts[name] = killer

    def add(self, change: Change, killer: str) -> None:
        """Note what killed a change, and print it if that was nothing."""
        self.verdicts[change.name] = killer
        if killer == SURVIVES:
            click.echo(change.name)
        if self._file:
            _FOLDER.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([change.name, killer, _basis(change, killer)]) + "\n")

    def print_summary(self) -> None:
        """Print for each package how many changes were killed, survived and were set aside, with the reasons."""
        click.echo(f"\n{'package':18}{'changes':>8}{'killed':>8}{'survive':>8}" + "".join(f"{r:>14}" for r in REASONS))
        rows: dict[str, Counter[str]] = {}
        for name, change in changes().items():
            row = rows.setdefault(change.file.partition("/")[0], Counter())
            verdict = self.verdicts.get(name, "")
            row["changes"] += 1
            row[reason_of(change)] += 1
            row["survive" if verdict == SURVIVES else "killed"] += bool(verdict)
        for package, row in rows.items():
            columns = "".join(f"{row[reason]:14}" for reason in REASONS)
            click.echo(f"{package:18}{row['changes']:8}{row['killed']:8}{row['survive']:8}{columns}")


def kept_reach(stage: str, record: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """The reach of the cases of one stage: what `record` returned for these sources, now or in an earlier run."""
    file = _FOLDER / f"reach-{stage}.json"
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["sources"] == _all_sources():
            earlier: Mapping[str, Any] = kept["reach"]
            return earlier
    reach = record()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"sources": _all_sources(), "reach": reach}), encoding="utf-8")
    return reach


def _basis(change: Change, killer: str) -> str:
    """A hash of the sources on which it rests what killed a change."""
    if killer == SURVIVES:
        return _all_sources()
    case = killer.partition("::")[0].rpartition("/")[2]
    return _hash(FAKE / change.file, *(file for file in suite.CASES if file.name == case))


@cache
def _all_sources() -> str:
    return _hash(*sorted(FAKE.rglob("*.py")), *suite.CASES)


@cache
def _hash(*files: Path) -> str:
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
