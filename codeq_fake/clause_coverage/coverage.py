"""Which clauses of the contract a fake's traffic touched: as JSON for the control API, and as a table in Markdown."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any, Literal, TypeAlias

#: The release of the real server that the contract was taken from.
SERVER = "v0.3.3"

#: The operation under which faults are counted: `(FAULT, kind)`.
FAULT = "fault"

#: Whether the fake does the same as the real server, or something else on purpose.
Ours: TypeAlias = Literal["exact", "differs"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause; `clauses.yaml` explains the fields."""

    id: str
    says: str
    recordings: tuple[str, ...] = ()
    certainty: Literal["observed", "source"] = "observed"
    ours: Ours = "exact"
    note: str = ""
    differing_facts: tuple[str, ...] = ()
    touched_by: str = ""

    def is_touched_by(self, operation: str, refusal: str) -> bool:
        """Whether a call of `operation` touches it; `refusal` is the class name of the refusal, or empty."""
        call = refusal if operation == FAULT else f"{operation}:{refusal or 'done'}"
        return re.fullmatch(self.touched_by, call, re.VERBOSE) is not None

    def as_json(self, touched: int) -> dict[str, Any]:
        """What the control API shows of it."""
        return {
            "id": self.id,
            "says": self.says,
            "certainty": self.certainty,
            "recordings": list(self.recordings),
            "ours": self.ours,
            "note": self.note,
            "touched": touched,
            "facts": [
                {"id": fact, "says": says, "ours": "differs" if fact in self.differing_facts else "exact"}
                for fact, says in facts()[self.id].items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Section:
    """The clauses of one section of the contract."""

    about: str
    clauses: tuple[Clause, ...]


@cache
def sections() -> tuple[Section, ...]:
    """All clauses by section, in the contract's order."""
    import yaml  # noqa: PLC0415 - 20 ms that only this costs

    # The loader in C, which most installations of PyYAML have, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    written = yaml.load((files(__package__) / "clauses.yaml").read_text(encoding="utf-8"), loader)  # noqa: S506 - is safe
    return tuple(
        Section(section["about"], tuple(Clause(**fields) for fields in section["clauses"])) for section in written
    )


@cache
def facts() -> Mapping[str, Mapping[str, str]]:
    """The facts of each clause: their sentences by id, as in the contract suite."""
    written: dict[str, dict[str, str]] = json.loads((files(__package__) / "facts.json").read_text(encoding="utf-8"))
    return written


def clauses() -> Iterator[Clause]:
    """All clauses, in the contract's order."""
    return chain.from_iterable(section.clauses for section in sections())


def coverage(seen: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """All clauses as plain JSON values, each with how often it was touched.

    `seen` maps (operation, class name of the refusal or "") to a number of calls. In `summary`, `touched` counts the
    clauses that were touched, `of` those that can be.
    """
    touched = Counter[str]()
    for clause in clauses():
        touched[clause.id] = sum(times for call, times in seen.items() if clause.is_touched_by(*call))
    return {
        "version": SERVER,
        "clauses": [clause.as_json(touched[clause.id]) for clause in clauses()],
        "summary": {
            "touched": sum(times > 0 for times in touched.values()),
            "of": sum(clause.touched_by != "" for clause in clauses()),
        },
    }


def markdown() -> str:
    """A table of the sections with the clauses that are exact and that differ, followed by the differences."""
    differing: dict[str, list[Clause]] = {}
    for clause in clauses():
        if clause.ours == "differs":
            differing.setdefault(clause.note, []).append(clause)
    unseen = _ids(clause for clause in clauses() if clause.certainty == "source")
    lines = [
        "| Section | Exact | Differs on purpose |",
        "| --- | --- | --- |",
        *map(_row, sections()),
        "",
        "Where it differs:",
        "",
        *(f"- **{_ids(sharing)}** {note}" for note, sharing in differing.items()),
        "",
        f"All was seen on a running server {SERVER}, except {unseen}: they, or parts of them, were read in its source.",
    ]
    return "\n".join(lines) + "\n"


def _row(section: Section) -> str:
    def cell(ours: Ours) -> str:
        return _ids(clause for clause in section.clauses if clause.ours == ours)

    return f"| {section.about} | {cell('exact')} | {cell('differs')} |"


def _ids(chosen: Iterable[Clause]) -> str:
    """Ids with runs shortened: R1-R3, R5."""
    runs: list[list[str]] = []
    for clause in chosen:
        letter, number = clause.id[0], clause.id[1:]
        if runs and number.isdecimal() and runs[-1][-1] == f"{letter}{int(number) - 1}":
            runs[-1].append(clause.id)
        else:
            runs.append([clause.id])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else run[0] for run in runs)
