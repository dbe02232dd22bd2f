"""The register: every clause of the contract and every fact of it by its id, from `clauses.toml` and `facts`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """One observation that can be wrong alone. Its id is that of its clause and a number: `K5.3`.

    `needs` are the features that a target must have to show it. `invisible` is the reason if no client can see it.
    `only` is the version on which it holds, empty if it does on all. `unless` is a store on which it does not hold.
    """

    id: str
    says: str
    needs: tuple[str, ...] = ()
    invisible: str = ""
    only: str = ""
    unless: str = ""

    @property
    def clause(self) -> str:
        """The clause that it is a part of."""
        return self.id.partition(".")[0]

    def holds_on(self, version: str, store: str = "") -> bool:
        """Whether it is part of that version's contract on that store."""
        return self.only in ("", version) and (not store or store != self.unless)


_REGISTER = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _section(title: str) -> Mapping[str, dict[str, Any]]:
    """The clauses of a section with their facts, as they are written."""
    file = Path(__file__).with_name("facts") / f"{title.lower().replace(' ', '_')}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


_SECTIONS = {title: _section(title) for title in _REGISTER["sections"]}


def _facts() -> Iterator[Fact]:
    for title, section in _SECTIONS.items():
        only = _REGISTER["only"].get(title, "")
        for clause, entries in section.items():
            for number, written in entries.items():
                if number != "title":
                    entry = {"says": written} if isinstance(written, str) else written
                    yield Fact(f"{clause}.{number}", **{"only": only, **entry, "needs": tuple(entry.get("needs", ()))})


#: The versions of the contract, the oldest first.
VERSIONS: tuple[str, ...] = tuple(_REGISTER["versions"])

#: The titles of all clauses, in the contract's order.
CLAUSES: Mapping[str, str] = MappingProxyType(
    {clause: entries["title"] for section in _SECTIONS.values() for clause, entries in section.items()}
)

#: The ids of the clauses in each section, by its title.
SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType({title: tuple(_SECTIONS[title]) for title in _SECTIONS})

#: All facts by their ids, in the contract's order.
FACTS: Mapping[str, Fact] = MappingProxyType({fact.id: fact for fact in _facts()})


@cache
def facts_on(version: str, store: str = "") -> Mapping[str, Fact]:
    """The facts of that version's contract, on that store if one is named."""
    return {name: fact for name, fact in FACTS.items() if fact.holds_on(version, store)}


@cache
def clauses_on(version: str, store: str = "") -> Mapping[str, str]:
    """The titles of the clauses of which that version's contract has a fact, on that store if one is named."""
    present = {fact.clause for fact in facts_on(version, store).values()}
    return {clause: title for clause, title in CLAUSES.items() if clause in present}


_ROUTES = tuple((re.compile(re.sub(r":\w+", "[^/]+", route)), route) for route in _REGISTER["routes"])


class RegisterError(Exception):
    """The cases do not fit the register. The text names the case."""


def check_case(case: str, groups: Sequence[str], facts: Sequence[str], shown: Sequence[str] = ()) -> None:
    """Check the groups and the facts of a case, or the clauses that its recording shows. Raises RegisterError."""
    if len(groups) != 1:
        raise RegisterError(f"{case} is in {len(groups)} groups; it must be in one")
    if not facts and not shown:
        raise RegisterError(f"{case} names no fact of the contract")
    for fact in facts:
        if fact not in FACTS:
            raise RegisterError(f"{case} names {fact}, which the contract does not have")
        if FACTS[fact].invisible:
            raise RegisterError(f"{case} names {fact}, which no client can see: {FACTS[fact].invisible}")
        if facts.count(fact) > 1:
            raise RegisterError(f"{case} names {fact} twice")


def clauses_of_facts(facts: Sequence[str]) -> tuple[str, ...]:
    """The clauses of these facts, each once."""
    return tuple(dict.fromkeys(fact.partition(".")[0] for fact in facts))


def are_named(facts: Sequence[str], clauses: Sequence[str], names: Sequence[str]) -> bool:
    """Whether one of the facts or clauses is among these names."""
    return not {*facts, *clauses}.isdisjoint(names)


def shortened(facts: Sequence[str]) -> str:
    """The ids of facts in the contract's order, with runs shortened: `K5.1-K5.3, K8.2`."""
    positions = {fact: place for place, fact in enumerate(FACTS)}
    ordered = enumerate(sorted(facts, key=positions.__getitem__))
    runs = groupby(ordered, key=lambda each: (each[1].partition(".")[0], positions[each[1]] - each[0]))
    ends = [[fact for _, fact in run] for _, run in runs]
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in ends)


def clauses_of_call(method: str, path: str, status: int) -> str:
    """The clauses behind the recorded reply `status` to a request."""
    route, statuses = route_of(method, path), _REGISTER["statuses"]
    if not route:
        return "R18 R19"
    clauses: str = _REGISTER["routes"][route]
    return f"{clauses.split(maxsplit=1)[0]} {statuses[str(status)]}" if str(status) in statuses else clauses


def route_of(method: str, path: str) -> str:
    """The route of a request as the contract writes it. Empty if it has none."""
    request = f"{method} {path.partition('?')[0]}"
    return next((route for pattern, route in _ROUTES if pattern.fullmatch(request)), "")


def clauses_of_callback(body: str) -> str:
    """The clauses behind a request to a webhook: a queue-ready notice or a result callback."""
    return "U3-U9 W2" if '"notificationId"' in body else "W1-W4"
