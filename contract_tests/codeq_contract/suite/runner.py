"""Runs cases: one attempt, or more with longer waits if it was inconclusive, and cases that wait side by side."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import pytest

from codeq_contract.clauses import FACTS, clauses_of_facts
from codeq_contract.compat.pytest import parameters
from codeq_contract.driver import Driver, UnsupportedError
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.disturbances import Disturbances
from codeq_contract.recordings.times import SECOND
from codeq_contract.report.results import GROUPS, InconclusiveError
from codeq_contract.stores import STORES

from .case_context import CaseContext
from .cleanup import clean_up
from .shared_servers import SharedServers

_MAX_ATTEMPTS = 3

#: The distance to the seed of other plans, so far that no share of them is one of the first.
_OTHER_PLANS = 1000

#: Seconds between the beginnings of two cases that run side by side, and of a turn of one of their threads.
_GAP, _TURN = 0.03, 0.0005

#: How a target gets a feature.
FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "admin": "an admin's token gives it",
        "chosen_ids": "servers draw them, and order by them what falls due in one second",
        "chosen_time": "a call takes effect at a known moment only on a clock that stands still",
        "clean_up": "--yes of a URL and --store of a command give it, and let the server delete tasks of anyone",
        "direct": "only servers that the suite starts are surely reached without a proxy",
        "files": "only servers on this machine that the suite starts share their files",
        "known_settings": "the server's settings in a --config file give it",
        "many_workers": "tokens of worker2 and worker3 give it",
        "minting": "only servers that the suite starts accept its tokens",
        "mere_producer": "the producer is an admin as well",
        "own_store": "--store gives it, in place of --store-addr",
        **{f"store:{store}": f"--profile {store} gives it" for store in STORES},
        "tenants": "tokens of other_producer and other_worker give it",
        "variants": "only servers that the suite starts can have other settings",
        "webhooks": "--webhook-advertise gives it",
    }
)

#: The pools of the groups whose cases run side by side, all at once: most of them wait nearly all of their time.
_POOLS: Mapping[str, str] = MappingProxyType({"timed": "waiting", "webhooks": "waiting", "recorded": "recorded"})

#: The pool of other cases that start a server. Only so many run at once, since a start takes a processor for a while.
_STARTING = "starting"
_STARTS = (os.cpu_count() or 1) + 1

#: The errors that a server may cause in a case. Any other is a fault of the suite itself.
FAILURES = (AssertionError, LookupError, ValueError, ExceptionGroup)

#: pytest.skip and pytest.fail do not raise subclasses of Exception.
_CASE_ERRORS = (Exception, pytest.skip.Exception, pytest.fail.Exception)


@dataclass(frozen=True, slots=True)
class Attempts:
    """All attempts at a case: the last one and its error, the number of attempts, and their duration."""

    contract: CaseContext
    number: int
    seconds: float
    error: BaseException | None


@dataclass(slots=True)
class Runner:
    """Runs the cases of one session on one driver.

    `on_over` is called with the id of each case that waited and is over, from any thread. `left_behind` are the tasks
    that could not be ended on someone else's server: commands by id. `disturbances` are those of real time.
    `shared_servers` are for cases that need other settings, but not a separate server.
    """

    driver: Driver
    on_over: Callable[[str], None] = field(default=lambda _: None)
    left_behind: dict[str, str] = field(default_factory=dict)
    disturbances: Disturbances = field(default_factory=Disturbances)
    _side_by_side: dict[str, Future[Attempts]] = field(default_factory=dict)
    _threads: list[ThreadPoolExecutor] = field(default_factory=list)
    shared_servers: SharedServers = field(init=False)

    def __post_init__(self) -> None:
        self.shared_servers = SharedServers(self.driver)

    def run(self, item: pytest.Function, all_items: Sequence[pytest.Item]) -> Attempts:
        """Run a case. In real time, the first case that runs beside others starts all of them."""
        pool = _pool_of(item)
        if not pool or not self.driver.in_real_time:
            return self._run(item)
        if item.nodeid not in self._side_by_side:
            cases = [each for each in all_items if isinstance(each, pytest.Function) and _pool_of(each) == pool]
            self._start(cases, at_once=_STARTS if pool == _STARTING else len(cases))
        return self._side_by_side[item.nodeid].result()

    def _start(self, cases: Sequence[pytest.Function], *, at_once: int) -> None:
        """Start cases in threads, one after another with a short gap."""
        threads = ThreadPoolExecutor(at_once, thread_name_prefix="case")
        self._threads.append(threads)
        # The webhook is another thread of this process. If all cases began at once, with Python's usual turns of 5 ms,
        # each step of its answers would wait for all of them, and the server's time for a callback would be over.
        sys.setswitchinterval(_TURN)
        for item in cases:
            self._side_by_side[item.nodeid] = threads.submit(self._run_in_thread, item)
            self.driver.clock.sleep(_GAP)

    def end(self) -> None:
        """Cancel all waits. On someone else's server, also wait until the running cases have cleaned up."""
        if self._threads:
            self.driver.clock.cancel_waits()
        for threads in self._threads:
            threads.shutdown(wait=self.driver.start_other is None, cancel_futures=True)
        self.shared_servers.close()

    def sample(self, item: pytest.Function, tries: int, *, at_once: int) -> list[Attempts]:
        """Try a case again, for its rate of failures. Where time does not pass by itself, only one runs at a time."""
        try_once = partial(self._try, item)
        if at_once == 1 or not self.driver.in_real_time:
            return [*map(try_once, range(1, tries + 1))]
        with ThreadPoolExecutor(at_once, thread_name_prefix="sample") as threads:
            return [*threads.map(try_once, range(1, tries + 1))]

    def _try(self, item: pytest.Function, number: int) -> Attempts:
        """Try a case with other plans each time: the rate is that of all plans, where one meets a race again and again.

        A plan that fails is counted, not explained.
        """
        seed = self.driver.effort.seed + number * _OTHER_PLANS
        driver = replace(self.driver, effort=replace(self.driver.effort, seed=seed, shrinks=False))
        contract = CaseContext(driver, shared_servers=self.shared_servers)
        return Attempts(contract, 1, 0, self._attempt(item, contract))

    def _run_in_thread(self, item: pytest.Function) -> Attempts:
        attempts = self._run(item)
        self.on_over(item.nodeid)
        return attempts

    def _run(self, item: pytest.Function) -> Attempts:
        """Attempt a case until the outcome is conclusive. An error is part of the result, not raised."""
        missing = missing_features(item, self.driver)
        if missing:
            return Attempts(CaseContext(self.driver), 0, 0, _unsupported(missing))
        stopwatch = RealClock()
        began, number, scale = stopwatch.steady(), 1, 1
        while True:
            contract = CaseContext(self.driver, scale, shared_servers=self.shared_servers)
            error = self._attempt_undisturbed(item, contract)
            # A request may be lost by chance, but not at every attempt.
            is_lost = error is not None and any(not exchange.reply.status for exchange in contract.transcript)
            if number == _MAX_ATTEMPTS or not (is_lost or isinstance(error, InconclusiveError)):
                return Attempts(contract, number, (stopwatch.steady() - began) / SECOND, error)
            number, scale = number + 1, scale * 2

    def _attempt_undisturbed(self, item: pytest.Function, contract: CaseContext) -> BaseException | None:
        """As `_attempt`, but a failure is inconclusive if something disturbed real time meanwhile."""
        if not self.driver.in_real_time:
            return self._attempt(item, contract)
        self.disturbances.look()
        before = len(self.disturbances.seen)
        error = self._attempt(item, contract)
        if not isinstance(error, FAILURES):
            return error
        self.disturbances.look()
        during = self.disturbances.seen[before:]
        return InconclusiveError(f"{during[0]} during the case, which failed: {error}") if during else error

    def _attempt(self, item: pytest.Function, contract: CaseContext) -> BaseException | None:
        """The error of one attempt, or None."""
        try:
            item.obj(contract=contract, **parameters(item))
        except _CASE_ERRORS as raised:
            return _first_of_group(raised)
        else:
            return None
        finally:
            self.left_behind.update(clean_up(contract))


def groups_of(item: pytest.Item) -> list[str]:
    """The groups of a case. The register requires exactly one."""
    marks = {mark.name for mark in item.iter_markers()}
    return [group for group in GROUPS if group in marks]


def group_of(item: pytest.Item) -> str:
    """The group of a case that the register has checked."""
    return groups_of(item)[0]


def facts_of(item: pytest.Item) -> tuple[str, ...]:
    """The facts that a case names."""
    return tuple(fact for mark in item.iter_markers("checks") for fact in mark.args)


def is_part_of(item: pytest.Item, version: str, store: str) -> bool:
    """Whether a case checks that version on that store: its facts hold there, and its recording was made there."""
    is_of_version = all(mark.args == (version,) for mark in item.iter_markers("only"))
    is_of_store = all(mark.args != (store,) for mark in item.iter_markers("unless"))
    return is_of_version and is_of_store and all(FACTS[fact].holds_on(version, store) for fact in facts_of(item))


def clauses_of(item: pytest.Item) -> tuple[str, ...]:
    """The clauses of the facts that a case names, and those that its recording shows."""
    shown = [clause for mark in item.iter_markers("shows") for clause in mark.args]
    return tuple(dict.fromkeys([*clauses_of_facts(facts_of(item)), *shown]))


def missing_features(item: pytest.Item, driver: Driver) -> list[str]:
    """The features that the case or one of its facts needs and the target lacks."""
    return [feature for feature in needed_features(item) if feature not in driver.features]


def needed_features(item: pytest.Item) -> list[str]:
    """The features that the case or one of its facts needs."""
    needed = [feature for mark in item.iter_markers("needs") for feature in mark.args]
    needed += [feature for fact in facts_of(item) for feature in FACTS[fact].needs]
    return [*dict.fromkeys(needed)]


def _pool_of(item: pytest.Item) -> str:
    """The pool of threads in which the case runs if time is real. Empty if it runs alone."""
    return _POOLS.get(group_of(item), _STARTING if "variants" in needed_features(item) else "")


def _unsupported(features: Sequence[str]) -> UnsupportedError:
    """The reason why a case is unsupported, and how to change that."""
    hints = "; ".join(FEATURES[feature] for feature in features if FEATURES.get(feature))
    return UnsupportedError(f"the target has no {', '.join(features)}{f' ({hints})' if hints else ''}")


def _first_of_group(error: BaseException) -> BaseException:
    return _first_of_group(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
