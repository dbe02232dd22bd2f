"""The results of a run: a verdict for each case, each clause and each level, and how they follow from one another."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from codeq_contract.register import CLAUSES, CONTRACT, WITHOUT_CASE
from codeq_contract.report.verdicts import GROUPS, SIGHTINGS_OF_GROUPS, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = 1

#: Worst first: a clause is as good as its worst case, and unsupported ones say nothing of it.
_WORST_FIRST = (
    Verdict.ERROR,
    Verdict.FAILED,
    Verdict.INCONCLUSIVE,
    Verdict.SKIPPED,
    Verdict.KNOWN,
    Verdict.PASSED,
    Verdict.UNSUPPORTED,
)

PASSED, PARTIAL, FAILED, ERROR = "passed", "partial", "failed", "error"
INCONCLUSIVE, NOT_RUN = "inconclusive", "not run"


@dataclass(frozen=True, slots=True)
class Shown:
    """A request and its reply as a report shows them: without secrets, times in seconds since the case began."""

    called: float
    returned: float
    identity: str | None
    request: str
    body: str | None
    status: int
    reply: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case ended, with its last requests if it did not pass."""

    name: str
    group: str
    clauses: tuple[str, ...]
    verdict: Verdict
    seconds: float
    attempts: int = 1
    reason: str = ""
    sightings: tuple[str, ...] = ()
    transcript: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Report:
    """One run on one target. `levels_asked` are the groups that were to be run."""

    suite: str
    date: str
    target: str
    about: Mapping[str, str]
    settings: Mapping[str, str]
    tolerances: Mapping[str, Any]
    seed: str
    levels_asked: tuple[str, ...]
    cases: tuple[CaseResult, ...]
    #: The ends of the server's and its store's logs, if something went wrong.
    logs: Mapping[str, str] = field(default_factory=dict)
    #: Delayed tasks that could not be ended, by id, with their commands.
    left_behind: Mapping[str, str] = field(default_factory=dict)
    #: Why there was no server to run on, if there was none.
    not_run: str = ""

    @cached_property
    def clauses(self) -> Mapping[str, str]:
        """The verdict of each clause: its worst case's, or why it has none."""
        found = {clause: [case.verdict for case in self.cases if clause in case.clauses] for clause in CLAUSES}
        return {clause: _worst(verdicts) for clause, verdicts in found.items()}

    @cached_property
    def sightings(self) -> Mapping[str, int]:
        """How many cases saw what has to be seen."""
        counts = Counter(sighting for case in self.cases for sighting in case.sightings)
        return {sighting: counts[sighting] for group in GROUPS for sighting in SIGHTINGS_OF_GROUPS[group]}

    @property
    def never_seen(self) -> list[str]:
        """What the levels that were asked for had to see, and did not."""
        wanted = [sighting for group in self.levels_asked for sighting in SIGHTINGS_OF_GROUPS[group]]
        return [sighting for sighting in wanted if not self.sightings[sighting]]

    @cached_property
    def levels(self) -> Mapping[str, str]:
        """How each group went."""
        return {group: self._level(group) for group in GROUPS}

    def counts(self, group: str) -> Mapping[str, int]:
        """How many cases of a group ended in which way."""
        found = Counter(case.verdict for case in self.cases if case.group == group)
        return {verdict: found[verdict] for verdict in Verdict if found[verdict]}

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 2 an error of the suite's own, 3 partial."""
        if any(case.verdict is Verdict.ERROR for case in self.cases) or not self.cases:
            return 2
        asked = {self.levels[group] for group in self.levels_asked}
        if FAILED in asked:
            return 1
        return 0 if asked == {PASSED} else 3

    def _level(self, group: str) -> str:
        counts = self.counts(group)
        if group not in self.levels_asked or not counts:
            return NOT_RUN
        if counts.get(Verdict.FAILED):
            return FAILED
        if counts.get(Verdict.ERROR):
            return ERROR
        if counts.get(Verdict.SKIPPED) or counts.get(Verdict.INCONCLUSIVE):
            return PARTIAL
        if not (counts.get(Verdict.PASSED) or counts.get(Verdict.KNOWN)):
            return NOT_RUN
        return PASSED if all(self.sightings[seen] for seen in SIGHTINGS_OF_GROUPS[group]) else INCONCLUSIVE

    def to_json(self) -> str:
        """The file report.json."""
        told = {
            "schemaVersion": SCHEMA,
            "suite": self.suite,
            "contract": CONTRACT,
            "date": self.date,
            "target": self.target,
            "about": dict(self.about),
            "settings": dict(self.settings),
            "tolerances": dict(self.tolerances),
            "seed": self.seed,
            "notRun": self.not_run,
            "levelsAsked": self.levels_asked,
            "levels": {group: {"result": self.levels[group], **self.counts(group)} for group in GROUPS},
            "sightings": self.sightings,
            "clauses": self.clauses,
            "withoutCase": dict(WITHOUT_CASE),
            "cases": [asdict(case) for case in self.cases],
            "logs": dict(self.logs),
            "leftBehind": dict(self.left_behind),
        }
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read a report.json. Raises ValueError, KeyError or TypeError when it is none."""
        told = json.loads(text)
        if told["schemaVersion"] != SCHEMA:
            raise ValueError(f"schemaVersion {told['schemaVersion']}; this suite reads {SCHEMA}")
        return cls(
            suite=told["suite"],
            date=told["date"],
            target=told["target"],
            about=told["about"],
            settings=told["settings"],
            tolerances=told["tolerances"],
            seed=told["seed"],
            levels_asked=tuple(told["levelsAsked"]),
            cases=tuple(_case(case) for case in told["cases"]),
            logs=told["logs"],
            left_behind=told["leftBehind"],
            not_run=told.get("notRun", ""),
        )


def _case(told: Mapping[str, Any]) -> CaseResult:
    changed = {
        "clauses": tuple(told["clauses"]),
        "verdict": Verdict(told["verdict"]),
        "sightings": tuple(told["sightings"]),
        "transcript": tuple(Shown(**shown) for shown in told["transcript"]),
    }
    return CaseResult(**{**told, **changed})


def _worst(verdicts: Sequence[Verdict]) -> str:
    return next((verdict.value for verdict in _WORST_FIRST if verdict in verdicts), "no case")
