"""One run of the suite: its driver, the verdict on each case, and the report at the end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import pytest

from codeq_contract.clauses import VERSIONS
from codeq_contract.compat.pytest import environment_unchanged
from codeq_contract.driver import Driver, Setup, UnsupportedError
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.detection import of_its_version
from codeq_contract.driver.preflight import check_deployment
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import Target
from codeq_contract.recordings.times import SECOND
from codeq_contract.report import CaseResult, Report
from codeq_contract.report.latencies import Latency, latencies
from codeq_contract.report.markdown import as_markdown
from codeq_contract.report.page import page
from codeq_contract.report.results import GROUPS, InconclusiveError, Verdict
from codeq_contract.report.transcript import shown, without_secrets

from .case_context import CaseContext
from .cleanup import end_all
from .deviations import Deviation, read_deviations
from .known_races import Sample, Sign, doubt, is_failure, objection, sign_of
from .options import Options
from .runner import FAILURES, Attempts, Runner, clauses_of, facts_of, group_of, missing_features

_REASON_LINES = 8
_SEEDS = 2**32

#: Verdicts that the server's logs may explain.
_WANT_LOGS = (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE)


class NoServerError(Exception):
    """The server has stopped answering."""


@dataclass
class Session:
    """The state of a run, from the first case to the report.

    `known` are the deviations that are expected, None for those of the server's version. `on_result` is called with
    each result. `not_run` is the reason if there is no server to run on.
    """

    options: Options
    target: Target
    known: tuple[Deviation, ...] | None
    began: int = field(default_factory=RealClock().now)
    on_result: Callable[[CaseResult], None] = field(default=lambda _: None)
    #: As `began`, on a clock that cannot be set.
    _start: int = field(default_factory=RealClock().steady)
    _attempts: dict[str, Attempts] = field(default_factory=dict)
    _results: dict[str, CaseResult] = field(default_factory=dict)
    #: The calls that show races, by the case.
    _signs: dict[str, Sign] = field(default_factory=dict)
    #: How often a case fails, by its name without parameters.
    _samples: dict[str, Sample] = field(default_factory=dict)
    _facts_left_out: set[str] = field(default_factory=set)
    _open: ExitStack = field(default_factory=ExitStack)
    #: The report of a run that has come to its end, or that could not begin.
    outcome: Report | None = None
    not_run: str = ""

    def begin(self) -> None:
        """Start the server, or another one if there was one. Without a server this ends the run."""
        vars(self).pop("runner", None)
        _ = self.runner

    @cached_property
    def runner(self) -> Runner:
        """The runner. The first use starts the server, and ends the run if there is none."""
        try:
            driver = self._open.enter_context(self.target.start(Setup()))
            if self.options.dry_run:
                driver = self._unasked(driver)
            else:
                check_deployment(driver)
                driver = of_its_version(driver, self.options.version, self.options.store_profile)
        except NotRunError as reason:
            self.not_run = str(reason)
            pytest.exit(f"not run: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)
        runner = Runner(replace(driver, effort=replace(driver.effort, seed=self.seed)))
        if driver.in_real_time:
            self._open.enter_context(runner.disturbances.watched())
            # Cases in threads read the environment.
            self._open.enter_context(environment_unchanged())
        return runner

    def _unasked(self, driver: Driver) -> Driver:
        """The driver of a dry run, which does not ask the server for its version."""
        version = self.options.version or driver.version
        note = "" if self.options.version else ", since a dry run changes nothing"
        return replace(driver.of_version(version), about={**driver.about, "contract": version + note})

    @property
    def contract(self) -> str:
        """The version that is checked. If the server is to be asked, this starts it."""
        return self.options.version or self.driver.version

    @cached_property
    def deviations(self) -> tuple[Deviation, ...]:
        """The deviations that are expected."""
        return read_deviations(self.contract) if self.known is None else self.known

    @cached_property
    def seed(self) -> int:
        """The seed of the plans."""
        return int(self.options.seed) if self.options.seed else secrets.randbelow(_SEEDS)

    @property
    def driver(self) -> Driver:
        """The driver of all cases."""
        return self.runner.driver

    def run(self, item: pytest.Function) -> None:
        """Run a case, and raise its error. If the server has stopped answering, the case is the last one."""
        attempts = self._attempts[item.nodeid] = self.runner.run(item, item.session.items)
        if attempts.error is None:
            return
        unanswered = any(not exchange.reply.status for exchange in attempts.contract.transcript)
        if unanswered and not self.driver.is_reachable:
            item.session.shouldstop = "the server no longer answers"
            raise NoServerError(item.session.shouldstop) from attempts.error
        self._look_for_race(item, attempts)
        if isinstance(attempts.error, UnsupportedError):
            # pytest parses the source of other errors, which takes seconds where a hundred cases are unsupported.
            raise pytest.skip.Exception(str(attempts.error)) from attempts.error
        raise attempts.error

    def _look_for_race(self, item: pytest.Function, attempts: Attempts) -> None:
        """If a known race may explain the failure, find its calls, and measure how often the case fails."""
        deviation = self._deviation(item)
        if deviation is None or not is_failure(attempts):
            return
        sign = sign_of(deviation, attempts.contract.last_example)
        if sign is None:
            return
        self._signs[item.nodeid] = sign
        if item.originalname not in self._samples:
            tries = self.runner.sample(item, deviation.tries, at_once=deviation.at_once)
            self._samples[item.originalname] = Sample.of(deviation, tries)

    def _deviation(self, item: pytest.Item) -> Deviation | None:
        return next((each for each in self.deviations if each.covers(item.name, clauses_of(item), self.store)), None)

    @property
    def store(self) -> str:
        """The store of the server that is checked. If it is not chosen, this starts the server."""
        return self.driver.time_bounds.profile

    def leave_out(self, items: Sequence[pytest.Item], why: str) -> None:
        """Record cases that were selected but not run: they make a level partial."""
        self._facts_left_out.update(fact for item in items for fact in facts_of(item))
        for item in items:
            if group_of(item) in self.options.levels and item.nodeid not in self._results:
                self._results[item.nodeid] = CaseResult(
                    item.name, group_of(item), clauses_of(item), Verdict.SKIPPED, 0, 0, why, facts=facts_of(item)
                )

    def judge(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Turn the outcome of a phase of a case into a verdict, in our report and in pytest's."""
        if report.when != "call" and call.excinfo is None:
            return
        verdict, reason = self._verdict(item, call, report)
        result = self._results[item.nodeid] = self._result(item, call, verdict, reason)
        self.on_result(result)
        # The JUnit report reads them at the tear-down.
        item.user_properties += [
            ("clauses", " ".join(result.clauses)),
            ("facts", " ".join(result.facts)),
            ("verdict", verdict.value),
        ]
        if verdict in (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE, Verdict.KNOWN):
            report.outcome = "skipped"
            report.longrepr = (str(item.path), (item.location[1] or 0) + 1, f"{verdict.value}: {reason}")
        elif verdict is Verdict.FAILED and call.excinfo is None:
            report.outcome = "failed"
            report.longrepr = reason

    def _verdict(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> tuple[Verdict, str]:
        """The verdict on a case, and the reason."""
        deviation = self._deviation(item)
        if call.excinfo is None:
            if deviation is not None and not deviation.rare:
                return Verdict.FAILED, f"{deviation.clause} is listed as a known deviation, but no longer fails"
            return Verdict.PASSED, ""
        error = call.excinfo.value
        if isinstance(error.__cause__, UnsupportedError):
            error = error.__cause__
        reason = "\n".join(str(error).splitlines()[:_REASON_LINES]) or type(error).__name__
        match error:
            case UnsupportedError():
                verdict = Verdict.UNSUPPORTED
            case InconclusiveError():
                verdict = Verdict.INCONCLUSIVE
            case _ if report.skipped:
                verdict = Verdict.SKIPPED
            case _ if not isinstance(error, FAILURES) or report.when != "call":
                verdict, reason = Verdict.ERROR, f"{type(error).__name__}: {reason}"
            case _ if deviation is not None:
                verdict, reason = self._verdict_on_known(item, deviation, reason)
            case _:
                verdict = Verdict.FAILED
        return verdict, reason

    def _verdict_on_known(self, item: pytest.Item, deviation: Deviation, reason: str) -> tuple[Verdict, str]:
        """The verdict on a case that fails as the deviation may explain."""
        sign = self._signs.get(item.nodeid)
        sample = self._samples.get(getattr(item, "originalname", item.name))
        against = objection(deviation, sign, sample)
        if against:
            return Verdict.FAILED, f"{reason}\n{against}"
        unsure = doubt(deviation, sample)
        if unsure:
            return Verdict.INCONCLUSIVE, f"{reason}\n{unsure}"
        if sign is None:
            return Verdict.KNOWN, f"{reason} ({deviation.why})"
        return (
            Verdict.KNOWN,
            f"{reason} (shows {sign.race}; {sample}, at most {deviation.at_most} may; {deviation.why})",
        )

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None], verdict: Verdict, reason: str) -> CaseResult:
        """The result of a case, with its requests unless it passed."""
        result = CaseResult(
            item.name,
            group_of(item),
            clauses_of(item),
            verdict,
            round(call.duration, 3),
            reason=reason,
            facts=facts_of(item),
        )
        attempts = self._attempts.get(item.nodeid)
        if attempts is None:
            return result
        contract, sign = attempts.contract, self._signs.get(item.nodeid)
        race = sign if verdict is Verdict.KNOWN else None
        sample = None if sign is None else self._samples.get(getattr(item, "originalname", item.name))
        calls = contract.last_example if race is None else race.calls
        return replace(
            result,
            seconds=round(attempts.seconds, 3),
            reason=without_secrets(reason, contract.driver),
            attempts=attempts.number,
            sightings=tuple(sorted(contract.sightings)),
            transcript=() if verdict is Verdict.PASSED else shown(calls, contract.driver),
            race="" if race is None else race.race,
            tries=0 if sample is None else sample.tries,
            tries_failed=0 if sample is None else sample.failed,
        )

    @property
    def title(self) -> str:
        """The target, and the facts about it."""
        about = ", ".join(f"{name} {value}" for name, value in self.driver.about.items())
        return f"target {self.driver.target}: {about}"

    def plan(self, items: Sequence[pytest.Item]) -> Iterator[str]:
        """The lines of a dry run."""
        driver = self.driver
        yield self.title
        yield "callers: " + ", ".join(driver.tokens)
        yield "Every command, key and webhook path begins with cq-; other queues are not touched."
        for item in items:
            missing = missing_features(item, driver)
            note = f"  (unsupported: no {', '.join(missing)})" if missing else ""
            yield f"{group_of(item):11} {item.name}  [{' '.join(facts_of(item) or clauses_of(item))}]{note}"

    def report(self) -> Report:
        """The report so far, or the reason why there is none. It does not change after the run."""
        if self.outcome is not None:
            return self.outcome
        report = Report(
            suite=version("codeq-fake"),
            date=datetime.fromtimestamp(self.began // SECOND, UTC).isoformat(),
            target=self.target.name,
            levels_asked=self.options.levels,
            not_run=self.not_run,
            contract=self.options.version or VERSIONS[0],
        )
        if self.not_run:
            return report
        driver = self.driver
        cases = tuple(self._results.values())
        return replace(
            report,
            contract=driver.version,
            target=driver.target,
            about=driver.about,
            settings={
                name: f"{value} (assumed)" if name in driver.assumed else str(value)
                for name, value in asdict(driver.settings).items()
                if name != "callback_secret"
            },
            tolerances=driver.time_bounds.table,
            seed=str(self.seed),
            cases=cases,
            facts_left_out=tuple(sorted(self._facts_left_out)),
            left_behind=self.runner.left_behind,
            logs=self._logs() if any(case.verdict in _WANT_LOGS for case in cases) else {},
            seconds=round((RealClock().steady() - self._start) / SECOND, 1),
            latencies=self._latencies() if driver.in_real_time else {},
        )

    def _latencies(self) -> Mapping[str, Latency]:
        return latencies(exchange for each in self._attempts.values() for exchange in each.contract.transcript)

    def _logs(self) -> Mapping[str, str]:
        return {name: without_secrets(log, self.driver) for name, log in self.driver.logs().items()}

    def finish(self, items: Sequence[pytest.Item]) -> None:
        """Write the report if one is wanted, and stop the server. `items` are all selected cases."""
        if self.not_run or "runner" not in vars(self) or self.options.dry_run:
            self._open.close()
            if self.not_run:
                self.outcome = self.report()
                self._write()
            return
        self.leave_out(items, "not reached")
        try:
            self.runner.end()
            # Some delayed tasks have become due since.
            self.runner.left_behind = end_all(CaseContext(self.driver), self.runner.left_behind)
            # The logs are gone with the server.
            self.outcome = self.report()
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
            folder.joinpath("report.md").write_text(as_markdown(report), encoding="utf-8")

    def facts(self) -> Mapping[str, str]:
        """The verdict on each fact, with the reason unless it passed."""
        if not self._results:
            return {}
        facts = self.report().facts
        return {fact: ": ".join(filter(None, (result.verdict, result.reason))) for fact, result in facts.items()}

    def summary(self) -> Iterator[str]:
        """The outcome of each level, with the number of cases for each verdict."""
        if not self._results:
            return
        report = self.report()
        for group in GROUPS:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts(group).items())
            yield f"{group:11} {report.levels[group]:13} {counts}"
        if report.never_seen:
            yield f"never seen: {', '.join(report.never_seen)}"
        yield from report.races_summary()
        yield from report.facts_summary()
