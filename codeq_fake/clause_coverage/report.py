"""The ledger as others see it: as plain JSON with what traffic has touched, and as a table for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from . import beyond, calling, tasks
from .touches import touchable, touched_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .clause import Clause, Ours, Section

#: The release of the real server that the contract was taken from.
SERVER = "v0.3.3"

SECTIONS: tuple[Section, ...] = (*calling.SECTIONS, *tasks.SECTIONS, *beyond.SECTIONS)


def ledger(seen: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """The ledger as plain JSON values: each clause with its certainty, what we do of it, and how often it was touched.

    ``seen`` maps (operation, name of the refusal's class or "") to how often a call has ended so. ``summary`` says how
    many clauses were touched, ``of`` those that a call can touch as far as its outcome tells.
    """
    touched: Counter[str] = Counter()
    for (operation, refusal), times in seen.items():
        for clause_id in touched_by(operation, refusal):
            touched[clause_id] += times
    return {
        "version": SERVER,
        "clauses": [_entry(clause, touched[clause.id]) for clause in clauses()],
        "summary": {"touched": sum(times > 0 for times in touched.values()), "of": len(touchable())},
    }


def clauses() -> Iterator[Clause]:
    """All clauses, in the contract's order."""
    for section in SECTIONS:
        yield from section.clauses


def markdown() -> str:
    """A table of the contract's sections with what is exact and what differs, and the differences in words."""
    unseen = _ids(clause for clause in clauses() if clause.certainty == "source")
    lines = [
        "| Section | Exact | Differs on purpose |",
        "| --- | --- | --- |",
        *map(_row, SECTIONS),
        "",
        "Where it differs:",
        "",
        *_notes(),
        "",
        f"All was seen on a running server {SERVER}, but for a part or all of {unseen}, which was read in its source.",
    ]
    return "\n".join(lines) + "\n"


def _entry(clause: Clause, touched: int) -> dict[str, Any]:
    return {
        "id": clause.id,
        "says": clause.says,
        "certainty": clause.certainty,
        "recordings": list(clause.recordings),
        "ours": clause.ours,
        "note": clause.note,
        "touched": touched,
    }


def _row(section: Section) -> str:
    def cell(ours: Ours) -> str:
        return _ids(clause for clause in section.clauses if clause.ours == ours)

    return f"| {section.about} | {cell('exact')} | {cell('differs')} |"


def _notes() -> Iterator[str]:
    """A line for each note; clauses that share one share its line."""
    noted: dict[str, list[Clause]] = {}
    for clause in clauses():
        if clause.ours == "differs":
            noted.setdefault(clause.note, []).append(clause)
    for note, sharing in noted.items():
        yield f"- **{_ids(sharing)}** {note}"


def _ids(chosen: Iterable[Clause]) -> str:
    """Ids as people write them: R1-R3, R5."""
    runs: list[list[str]] = []
    for clause in chosen:
        if runs and _follows(runs[-1][-1], clause.id):
            runs[-1].append(clause.id)
        else:
            runs.append([clause.id])
    return ", ".join(map(_run, runs))


def _run(ids: Sequence[str]) -> str:
    return f"{ids[0]}-{ids[-1]}" if len(ids) > 1 else ids[0]


def _follows(earlier: str, later: str) -> bool:
    """Whether the ids have one letter and successive numbers."""
    return later[1:].isdecimal() and earlier == f"{later[0]}{int(later[1:]) - 1}"
