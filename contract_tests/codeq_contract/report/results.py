"""The results of a run: a verdict on each case, and those on clauses and levels that follow from it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from codeq_contract.clauses import CLAUSES, FACTS, VERSIONS, Fact, clauses_on, facts_on, shortened

from .latencies import Latency

GROUPS = ("core", "timed", "concurrent", "webhooks", "recorded")


class Verdict(StrEnum):
    """The outcome of a case. Its values are in `report.json`, and CSS classes of the page.

    FAILED: the target broke a clause. KNOWN: the same, as a deviation says. ERROR: the suite itself is at fault.
    SKIPPED: not run. UNSUPPORTED: the target lacks what the case needs. INCONCLUSIVE: the suite was too slow to tell.
    """

    PASSED = "pass"
    FAILED = "fail"
    ERROR = "error"
    SKIPPED = "skipped"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"
    KNOWN = "known"


class InconclusiveError(Exception):
    """The suite was too slow, so that the reply proves nothing. The text says what came too late."""


class Sighting(StrEnum):
    """A situation that must occur at least once. Without it a level would pass without having checked anything."""

    TAKEOVER = "a takeover after expiry"
    LATE_RESULT = "a late result"
    DEAD_LETTER = "a dead letter"
    KEPT_LEASE = "a heartbeat that kept a lease"
    CONTENDED_CLAIM = "a contended claim"
    CALLBACK_RETRY = "a callback retry"


SIGHTINGS_OF_GROUPS: dict[str, tuple[Sighting, ...]] = {
    "core": (),
    "timed": (Sighting.TAKEOVER, Sighting.LATE_RESULT, Sighting.DEAD_LETTER, Sighting.KEPT_LEASE),
    "concurrent": (Sighting.CONTENDED_CLAIM,),
    "webhooks": (Sighting.CALLBACK_RETRY,),
    "recorded": (),
}

SCHEMA = 1

#: The worst first: a clause is as good as its worst case. Unsupported cases say nothing about it.
_WORST_FIRST = (
    Verdict.ERROR,
    Verdict.FAILED,
    Verdict.INCONCLUSIVE,
    Verdict.SKIPPED,
    Verdict.KNOWN,
    Verdict.PASSED,
    Verdict.UNSUPPORTED,
)

#: The verdicts whose cases are shown one by one, the most important first. The others are only counted.
SHOWN_VERDICTS = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.KNOWN)

#: The fields of a report that have the same name in `report.json`.
_SAME_NAMES = ("suite", "contract", "date", "target", "about", "settings", "tolerances", "seed", "logs")

PASSED, PARTIAL, FAILED, ERROR = "passed", "partial", "failed", "error"
INCONCLUSIVE, NOT_RUN, NOT_CHECKED = "inconclusive", "not run", "not checked"
NO_CASE, NOT_IN_CONTRACT = "no case", "not in its contract"
#: Why a case did not run, or a fact was not checked.
NOT_SELECTED = "not selected"
_UNSEEN = "no client can see it: "


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """A request and its reply in a report: without secrets, with times in seconds since the start of the case."""

    called: float
    returned: float
    identity: str | None
    request: str
    body: str | None
    status: int
    reply: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The outcome of one case, with its last requests unless it passed.

    If a known `race` explains its failure, these are the requests that show it. Its rate was measured in some `tries`
    more, of which `tries_failed` failed.
    """

    name: str
    group: str
    clauses: tuple[str, ...]
    verdict: Verdict
    seconds: float
    attempts: int = 1
    reason: str = ""
    sightings: tuple[str, ...] = ()
    transcript: tuple[ShownExchange, ...] = ()
    facts: tuple[str, ...] = ()
    race: str = ""
    tries: int = 0
    tries_failed: int = 0


@dataclass(frozen=True, slots=True)
class FactResult:
    """What a run says of a fact: a verdict as of a case, or NOT_CHECKED, and the reason unless it passed."""

    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """One run on one target. `levels_asked` are the requested groups, `contract` is the version that was checked."""

    suite: str
    date: str
    target: str
    levels_asked: tuple[str, ...]
    about: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tolerances: Mapping[str, Any] = field(default_factory=dict)
    seed: str = ""
    cases: tuple[CaseResult, ...] = ()
    #: The facts that are checked by cases which were not selected.
    facts_left_out: tuple[str, ...] = ()
    #: The last lines of the logs of the server and its store, if something went wrong.
    logs: Mapping[str, str] = field(default_factory=dict)
    #: The delayed tasks that could not be ended, by id, with their commands.
    left_behind: Mapping[str, str] = field(default_factory=dict)
    #: The reason if there was no server to run on.
    not_run: str = ""
    #: How long the run took, in seconds.
    seconds: float = 0
    #: How fast the server replied in real time, by operation.
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    contract: str = VERSIONS[0]

    @cached_property
    def clauses(self) -> Mapping[str, str]:
        """The verdict on each clause: the worst of its cases, or `no case`."""
        return {
            clause: _worst([case.verdict for case in self.cases_of(clause)])
            for clause in clauses_on(self.contract, self._store)
        }

    @property
    def _store(self) -> str:
        """The store of the server, as far as the run knew it."""
        return str(self.tolerances.get("profile", ""))

    @property
    def _facts_of_contract(self) -> Mapping[str, Fact]:
        return facts_on(self.contract, self._store)

    @cached_property
    def facts(self) -> Mapping[str, FactResult]:
        """What the run says of each fact."""
        cases = defaultdict[str, list[CaseResult]](list)
        for case in self.cases:
            for fact in case.facts:
                cases[fact].append(case)
        return {fact.id: self._fact(fact, cases[fact.id]) for fact in self._facts_of_contract.values()}

    def _fact(self, fact: Fact, cases: Sequence[CaseResult]) -> FactResult:
        """The worst of its cases, or the reason why it was not checked."""
        worst = next((verdict for verdict in _WORST_FIRST if any(case.verdict is verdict for case in cases)), None)
        if worst is not None:
            reason = next(case.reason for case in cases if case.verdict is worst)
            return FactResult(NOT_CHECKED if worst in (Verdict.SKIPPED, Verdict.UNSUPPORTED) else worst, reason)
        if fact.invisible:
            return FactResult(NOT_CHECKED, f"{_UNSEEN}{fact.invisible}")
        return FactResult(NOT_CHECKED, NOT_SELECTED if fact.id in self.facts_left_out else "no case was loaded")

    @cached_property
    def unchecked(self) -> Mapping[str, Sequence[str]]:
        """The facts that were not checked, by the reason. The reason of the most facts comes first."""
        by_reason: dict[str, list[str]] = {}
        for fact, result in self.facts.items():
            if result.verdict == NOT_CHECKED:
                by_reason.setdefault(result.reason, []).append(fact)
        return dict(sorted(by_reason.items(), key=lambda entry: -len(entry[1])))

    def races_summary(self) -> Iterator[str]:
        """The known races that make the run partial."""
        for race, cases in self.races.items():
            yield f"known race: {race} {CLAUSES[race]}: {', '.join(cases)}"

    @property
    def counted_facts(self) -> str:
        """The number of facts for each verdict, in words."""
        counts = Counter(result.verdict for result in self.facts.values())
        return f"{len(self.facts)} facts: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}"

    def facts_summary(self) -> Iterator[str]:
        """The number of facts for each verdict, and which were not checked for which reason.

        Why no client can see a fact is the same in each run, so that only the files have it.
        """
        yield self.counted_facts
        invisible = [fact for reason, facts in self.unchecked.items() if reason.startswith(_UNSEEN) for fact in facts]
        for reason, facts in self.unchecked.items():
            if not reason.startswith(_UNSEEN):
                yield f"not checked: {_counted(facts)}, {reason}: {shortened(facts)}"
        if invisible:
            yield f"not checked: {_counted(invisible)}, no client can see it: {shortened(invisible)}"

    @cached_property
    def unsupported(self) -> Mapping[str, Sequence[CaseResult]]:
        """The unsupported cases by the reason. The reason of the most cases comes first."""
        by_reason: dict[str, list[CaseResult]] = {}
        for case in self.cases:
            if case.verdict is Verdict.UNSUPPORTED:
                by_reason.setdefault(case.reason, []).append(case)
        return dict(sorted(by_reason.items(), key=lambda entry: -len(entry[1])))

    def cases_of(self, clause: str) -> list[CaseResult]:
        """The cases that name a clause."""
        return [case for case in self.cases if clause in case.clauses]

    @cached_property
    def sightings(self) -> Mapping[str, int]:
        """The number of cases that met each situation."""
        counts = Counter(sighting for case in self.cases for sighting in case.sightings)
        return {sighting: counts[sighting] for group in GROUPS for sighting in SIGHTINGS_OF_GROUPS[group]}

    @property
    def never_seen(self) -> list[str]:
        """The situations that the requested levels must meet, and that none of their cases met."""
        wanted = [sighting for group in self.levels_asked for sighting in SIGHTINGS_OF_GROUPS[group]]
        return [sighting for sighting in wanted if not self.sightings[sighting]]

    @cached_property
    def races(self) -> Mapping[str, Sequence[str]]:
        """The known races that explain failures, with the cases that met them."""
        races = sorted({case.race for case in self.cases if case.race})
        return {race: [case.name for case in self.cases if case.race == race] for race in races}

    @cached_property
    def levels(self) -> Mapping[str, str]:
        """The outcome of each group."""
        return {group: self._level(group) for group in GROUPS}

    def counts(self, group: str) -> Mapping[str, int]:
        """The number of cases of a group for each verdict that occurred."""
        counts = Counter(case.verdict for case in self.cases if case.group == group)
        return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}

    @property
    def outcome(self) -> str:
        """The exit code in a word."""
        return {0: PASSED, 1: FAILED, 3: PARTIAL}.get(self.exit_code, ERROR)

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 2 an error of the suite itself, 3 partial."""
        if any(case.verdict is Verdict.ERROR for case in self.cases) or not self.cases:
            return 2
        asked = {self.levels[group] for group in self.levels_asked}
        if FAILED in asked:
            return 1
        return 0 if asked == {PASSED} else 3

    def _level(self, group: str) -> str:
        """The outcome of one group of cases: its worst verdict decides."""
        counts = self.counts(group)
        if group not in self.levels_asked or not counts:
            return NOT_RUN
        if counts.get(Verdict.FAILED):
            return FAILED
        if counts.get(Verdict.ERROR):
            return ERROR
        has_race = any(case.race for case in self.cases if case.group == group)
        if has_race or counts.get(Verdict.SKIPPED) or counts.get(Verdict.INCONCLUSIVE):
            return PARTIAL
        if not (counts.get(Verdict.PASSED) or counts.get(Verdict.KNOWN)):
            return NOT_RUN
        return PASSED if all(self.sightings[seen] for seen in SIGHTINGS_OF_GROUPS[group]) else INCONCLUSIVE

    def to_json(self) -> str:
        """The content of `report.json`."""
        document = {
            "schemaVersion": SCHEMA,
            **{name: getattr(self, name) for name in _SAME_NAMES},
            "notRun": self.not_run,
            "levelsAsked": self.levels_asked,
            "levels": {group: {"result": self.levels[group], **self.counts(group)} for group in GROUPS},
            "sightings": self.sightings,
            "races": self.races,
            "clauses": self.clauses,
            "facts": {
                fact: {"says": FACTS[fact].says, "verdict": result.verdict, "reason": result.reason}
                for fact, result in self.facts.items()
            },
            "factsLeftOut": self.facts_left_out,
            "withoutCase": {fact.id: fact.invisible for fact in self._facts_of_contract.values() if fact.invisible},
            "cases": [asdict(case) for case in self.cases],
            "leftBehind": self.left_behind,
            "seconds": self.seconds,
            "latencies": {operation: asdict(latency) for operation, latency in self.latencies.items()},
        }
        return json.dumps(document, indent=1, ensure_ascii=False, default=dict) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read a `report.json`. Raises ValueError, KeyError or TypeError for any other text."""
        document = json.loads(text)
        if document["schemaVersion"] != SCHEMA:
            raise ValueError(f"schemaVersion {document['schemaVersion']}; this suite reads {SCHEMA}")
        return cls(
            levels_asked=tuple(document["levelsAsked"]),
            cases=tuple(_case(case) for case in document["cases"]),
            left_behind=document["leftBehind"],
            facts_left_out=tuple(document.get("factsLeftOut", ())),
            not_run=document.get("notRun", ""),
            seconds=document.get("seconds", 0),
            latencies={name: Latency(**latency) for name, latency in document.get("latencies", {}).items()},
            **{name: document[name] for name in _SAME_NAMES},
        )


def _case(case: Mapping[str, Any]) -> CaseResult:
    changed = {
        "clauses": tuple(case["clauses"]),
        "facts": tuple(case.get("facts", ())),
        "verdict": Verdict(case["verdict"]),
        "sightings": tuple(case["sightings"]),
        "transcript": tuple(ShownExchange(**shown) for shown in case["transcript"]),
    }
    return CaseResult(**{**case, **changed})


def _worst(verdicts: Sequence[Verdict]) -> str:
    return next((verdict.value for verdict in _WORST_FIRST if verdict in verdicts), NO_CASE)


@dataclass(frozen=True, slots=True)
class Disparity:
    """A clause on which two runs differ, with the cases whose verdicts differ."""

    clause: str
    title: str
    ours: str
    theirs: str
    cases: tuple[str, ...]


def disparities(ours: Report, theirs: Report) -> list[Disparity]:
    """Every clause on which two runs differ, in the contract's order. A clause of one version only is none."""
    verdicts = {case.name: case.verdict for case in theirs.cases}
    return [
        Disparity(
            clause,
            title,
            ours.clauses[clause],
            theirs.clauses[clause],
            tuple(case.name for case in ours.cases_of(clause) if verdicts.get(case.name) is not case.verdict),
        )
        for clause, title in CLAUSES.items()
        if clause in ours.clauses and clause in theirs.clauses and ours.clauses[clause] != theirs.clauses[clause]
    ]


def _counted(facts: Sequence[str]) -> str:
    return f"{len(facts)} fact{'s' if len(facts) != 1 else ''}"
