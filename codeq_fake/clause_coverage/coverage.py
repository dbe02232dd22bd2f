"""The clauses of the contract by version and store: what traffic touched, and what another version or store changes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any, Literal, TypeAlias

from . import FAULT

#: The release of the real server that the contract was first taken from, and the store of its deployment files.
SERVER, STORE = "v0.3.3", "kvrocks-2.8"

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
    versions: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    elsewhere: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    amends: tuple[str, ...] = ()

    def holds_on(self, version: str, store: str) -> bool:
        """Whether that version has the clause on that store."""
        return version in (self.versions or (version,)) and store in (self.stores or (store,))

    def sentence(self, version: str, store: str) -> str:
        """What holds on that version with that store."""
        if not self.holds_on(version, store):
            return self.elsewhere
        return self.variants.get(store) or self.variants.get(version) or self.says

    def is_touched_by(self, operation: str, refusal: str) -> bool:
        """Whether a call of `operation` touches it.

        `refusal` is the class name of the refusal, or empty. With `FAULT` as operation, it is the kind of fault.
        """
        call = refusal if operation == FAULT else f"{operation}:{refusal or 'done'}"
        return re.fullmatch(self.touched_by, call, re.VERBOSE) is not None

    def as_json(self, version: str, store: str, touched: int) -> dict[str, Any]:
        """What the control API of a fake of that version and store shows of it."""
        return {
            "id": self.id,
            "says": self.sentence(version, store),
            "certainty": self.certainty,
            "recordings": list(self.recordings),
            "ours": self.ours,
            "note": self.note,
            "touched": touched,
            "facts": [
                {"id": id_, "says": fact.says, "ours": "differs" if id_ in self.differing_facts else "exact"}
                for id_, fact in facts()[self.id].items()
                if fact.only in ("", version) and store != fact.unless
            ],
        }


@dataclass(frozen=True, slots=True)
class Fact:
    """One observation of a clause. `only` is a version that alone has it, `unless` a store without it."""

    says: str
    only: str
    unless: str


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
def facts() -> Mapping[str, Mapping[str, Fact]]:
    """The facts of each clause by id, as in the contract suite."""
    written: dict[str, dict[str, dict[str, str]]] = json.loads(
        (files(__package__) / "facts.json").read_text(encoding="utf-8")
    )
    return {clause: {id_: Fact(**fields) for id_, fields in of_it.items()} for clause, of_it in written.items()}


def clauses(version: str = "", store: str = "") -> Iterator[Clause]:
    """The clauses that a version has on a store, or all, in the contract's order."""
    everything = chain.from_iterable(section.clauses for section in sections())
    return (clause for clause in everything if not version or clause.holds_on(version, store))


@dataclass(frozen=True, slots=True)
class Change:
    """A clause on which two versions or stores differ, what holds on each, and the other clauses that it changes."""

    clause: str
    before: str
    after: str
    amends: tuple[str, ...] = ()


def version_and_store(profile: str) -> tuple[str, str]:
    """The parts of a profile's name, which may lack the version."""
    version, _, store = profile.rpartition("/")
    return version or SERVER, store


def changes(old: tuple[str, str], new: tuple[str, str]) -> Iterator[Change]:
    """What changes between two pairs of a version and a store, in the contract's order. Each is told once."""
    differing = [clause for clause in clauses() if clause.sentence(*old) != clause.sentence(*new)]
    amended = {id_ for clause in differing for id_ in clause.amends}
    for clause in differing:
        if clause.id not in amended:
            yield Change(clause.id, clause.sentence(*old), clause.sentence(*new), clause.amends)


def coverage(seen: Mapping[tuple[str, str], int], version: str = SERVER, store: str = STORE) -> dict[str, Any]:
    """The clauses of a version and a store as plain JSON values, each with how often it was touched.

    `seen` maps (operation, class name of the refusal or "") to a number of calls. In `summary`, `touched` counts the
    clauses that were touched, `of` those that can be.
    """
    touched = Counter[str]()
    present = list(clauses(version, store))
    for clause in present:
        touched[clause.id] = sum(times for call, times in seen.items() if clause.is_touched_by(*call))
    return {
        "version": version,
        "clauses": [clause.as_json(version, store, touched[clause.id]) for clause in present],
        "summary": {
            "touched": sum(times > 0 for times in touched.values()),
            "of": sum(clause.touched_by != "" for clause in present),
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
        f"All was seen on a running server, {SERVER} or the main branch, except {unseen}: it was read in the source.",
    ]
    return "\n".join(lines) + "\n"


def _row(section: Section) -> str:
    exact, different = (_ids(each for each in section.clauses if each.ours == ours) for ours in ("exact", "differs"))
    return f"| {section.about} | {exact} | {different} |"


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
