"""One run of the suite: its driver, the verdict of each case as it ends, and the report in the end."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codeq_contract.driver import Driver, Setup, UnsupportedError
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.targets import NotRunError
from codeq_contract.recordings.times import SECOND
from codeq_contract.report import CaseResult, Report
from codeq_contract.report.page import page
from codeq_contract.report.redaction import shown, without_secrets
from codeq_contract.report.verdicts import GROUPS, InconclusiveError, Verdict
from codeq_contract.suite.case_context import Contract
from codeq_contract.suite.cleanup import end_all
from codeq_contract.suite.runner import Attempts, Runner, clauses_of, group_of, missing_features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from codeq_contract.driver.targets import Target
    from codeq_contract.suite.deviations import Deviation
    from codeq_contract.suite.options import Options

_REASON_LINES = 8
_SEEDS = 2**32

#: Verdicts that the server's logs may explain.
_WANT_LOGS = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE)

#: What a server may do to a case; anything else that a case raises is the suite's own fault.
_FAILURES = (AssertionError, LookupError, ValueError, ExceptionGroup)


class NoServerError(Exception):
    """There was a server, and it is gone."""


@dataclass
class Session:
    """Everything that lasts from the first case to the report."""

    options: Options
    target: Target
    deviations: tuple[Deviation, ...]
    began: int = field(default_factory=RealClock().now)
    #: Is told each verdict as it is known.
    on_result: Callable[[CaseResult], None] = field(default=lambda _: None)
    _attempts: dict[str, Attempts] = field(default_factory=dict)
    _results: dict[str, CaseResult] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    #: Why there is no server to run on.
    not_run: str = ""

    @cached_property
    def runner(self) -> Runner:
        """Starts the server when the first case needs it; without one there is nothing to run."""
        try:
            driver = self._open.enter_context(self.target.start(Setup()))
        except NotRunError as reason:
            self.not_run = str(reason)
            pytest.exit(f"not run: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)
        return Runner(replace(driver, effort=replace(driver.effort, seed=self.seed)))

    @cached_property
    def seed(self) -> int:
        """What plans are drawn from."""
        return int(self.options.seed) if self.options.seed else secrets.randbelow(_SEEDS)

    @property
    def driver(self) -> Driver:
        """The driver of all cases."""
        return self.runner.driver

    def run(self, item: pytest.Function) -> None:
        """Run a case; raises what it raised. When there is no server any more, the case is the last."""
        attempts = self._attempts[item.nodeid] = self.runner.run(item, item.session.items)
        if attempts.error is None:
            return
        unanswered = any(not exchange.reply.status for exchange in attempts.contract.transcript)
        if unanswered and not self.driver.answers:
            item.session.shouldstop = "the server does not answer any more"
            raise NoServerError(item.session.shouldstop) from attempts.error
        raise attempts.error

    def leave_out(self, items: Sequence[pytest.Item], why: str) -> None:
        """Note cases that were to be run but were not: without them a level is partial."""
        for item in items:
            if group_of(item) in self.options.levels and item.nodeid not in self._results:
                told = CaseResult(item.name, group_of(item), clauses_of(item), Verdict.SKIPPED, 0, 0, why)
                self._results[item.nodeid] = told

    def judge(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Turn what a phase of a case raised into a verdict, in our report and in pytest's."""
        if report.when != "call" and call.excinfo is None:
            return
        verdict, reason = self._verdict(item, call, report)
        result = self._results[item.nodeid] = self._result(item, call, verdict, reason)
        self.on_result(result)
        # The JUnit report takes them with the tear-down.
        item.user_properties += [("clauses", " ".join(result.clauses)), ("verdict", verdict.value)]
        if verdict in (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE, Verdict.KNOWN):
            report.outcome = "skipped"
            report.longrepr = (str(item.path), (item.location[1] or 0) + 1, f"{verdict.value}: {reason}")
        elif verdict is Verdict.FAILED and call.excinfo is None:
            report.outcome = "failed"
            report.longrepr = reason

    def _verdict(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> tuple[Verdict, str]:
        deviation = next((each for each in self.deviations if each.covers(item.name, clauses_of(item))), None)
        if call.excinfo is None:
            if deviation is not None and not deviation.seldom:
                return Verdict.FAILED, f"{deviation.clause} is listed as a known deviation, but no longer fails"
            return Verdict.PASSED, ""
        error = call.excinfo.value
        reason = "\n".join(str(error).splitlines()[:_REASON_LINES]) or type(error).__name__
        match error:
            case UnsupportedError():
                verdict = Verdict.UNSUPPORTED
            case InconclusiveError():
                verdict = Verdict.INCONCLUSIVE
            case _ if report.skipped:
                verdict = Verdict.SKIPPED
            case _ if not isinstance(error, _FAILURES) or report.when != "call":
                verdict, reason = Verdict.ERROR, f"{type(error).__name__}: {reason}"
            case _ if deviation is not None:
                verdict, reason = Verdict.KNOWN, f"{reason} ({deviation.why})"
            case _:
                verdict = Verdict.FAILED
        return verdict, reason

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None], verdict: Verdict, reason: str) -> CaseResult:
        told = CaseResult(item.name, group_of(item), clauses_of(item), verdict, round(call.duration, 3), reason=reason)
        attempts = self._attempts.get(item.nodeid)
        if attempts is None:
            return told
        contract = attempts.contract
        return replace(
            told,
            seconds=round(attempts.seconds, 3),
            reason=without_secrets(reason, contract.driver),
            attempts=attempts.number,
            sightings=tuple(sorted(contract.sightings)),
            transcript=() if verdict is Verdict.PASSED else shown(contract.last_example, contract.driver),
        )

    @property
    def title(self) -> str:
        """What the target is."""
        about = ", ".join(f"{name} {value}" for name, value in self.driver.about.items())
        return f"target {self.driver.target}: {about}"

    def plan(self, items: Sequence[pytest.Item]) -> Iterator[str]:
        """What would be done, line by line."""
        driver = self.driver
        yield self.title
        yield "callers: " + ", ".join(driver.tokens)
        yield "Every command, key and webhook path begins with cq-; other queues are not touched."
        for item in items:
            missing = missing_features(item, driver)
            note = f"  (unsupported: no {', '.join(missing)})" if missing else ""
            yield f"{group_of(item):11} {item.name}  [{' '.join(clauses_of(item))}]{note}"

    def report(self) -> Report:
        """What was found so far, or why nothing was."""
        if self.not_run:
            return self._empty_report()
        driver = self.driver
        cases = tuple(self._results.values())
        return Report(
            suite=version("codeq-fake"),
            date=datetime.fromtimestamp(self.began // SECOND, UTC).isoformat(),
            target=driver.target,
            about=driver.about,
            settings={
                name: f"{value} (assumed)" if name in driver.assumed else str(value)
                for name, value in asdict(driver.knobs).items()
                if name != "callback_secret"
            },
            tolerances=driver.tolerances.table,
            seed=str(self.seed),
            levels_asked=self.options.levels,
            cases=cases,
            left_behind=self.runner.left_behind,
            logs=self._logs() if any(case.verdict in _WANT_LOGS for case in cases) else {},
        )

    def _empty_report(self) -> Report:
        return Report(
            suite=version("codeq-fake"),
            date=datetime.fromtimestamp(self.began // SECOND, UTC).isoformat(),
            target=self.target.name,
            about={},
            settings={},
            tolerances={},
            seed="",
            levels_asked=self.options.levels,
            cases=(),
            not_run=self.not_run,
        )

    def _logs(self) -> Mapping[str, str]:
        return {name: without_secrets(log, self.driver) for name, log in self.driver.logs().items()}

    def finish(self, items: Sequence[pytest.Item]) -> None:
        """Write the report where one is wanted, and stop the server. `items` are all that were to be run."""
        if self.not_run or "runner" not in vars(self) or self.options.dry_run:
            self._open.close()
            if self.not_run:
                self._write()
            return
        self.leave_out(items, "not reached")
        try:
            self.runner.end()
            # Some of it has come due since.
            self.runner.left_behind = end_all(Contract(self.driver), self.runner.left_behind)
            self._write()
        finally:
            self._open.close()

    def _write(self) -> None:
        if self.options.report and not self.options.dry_run:
            folder = Path(self.options.report)
            folder.mkdir(parents=True, exist_ok=True)
            report = self.report()
            folder.joinpath("report.json").write_text(report.to_json(), encoding="utf-8")
            folder.joinpath("report.html").write_text(page([report]), encoding="utf-8")

    def summary(self) -> Iterator[str]:
        """How each level went, with what did not pass: never a success without the number of what was left out."""
        if not self._results:
            return
        report = self.report()
        for group in GROUPS:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts(group).items())
            yield f"{group:11} {report.levels[group]:13} {counts}"
        if report.never_seen:
            yield f"never seen: {', '.join(report.never_seen)}"
