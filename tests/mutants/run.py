"""Runs the suite on fakes with defects, each in a separate process: the cases of the mutant's fact.

As a program it prints which case kills each mutant (`make mutants`): `python -m tests.mutants.run [FACT | CLAUSE]...`.
With `--seconds` it begins mutants in an order drawn by the commit until that time is over.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import pytest

from codeq_contract.plugin import SESSION
from codeq_contract.report.results import Verdict
from tests.mutants import children, suite
from tests.mutants.histories import laws_broken
from tests.mutants.mutants import MUTANTS, Mutant, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from codeq_contract.report import CaseResult
    from tests.mutants.defects import Defect

_CLEAN_HISTORIES, _AT_ONCE = 1000, 50


@contextmanager
def built_in(defect: Defect) -> Iterator[None]:
    """The fake of this process has this defect until the context ends."""
    with pytest.MonkeyPatch.context() as patch:
        defect.apply(patch)
        yield


def failed_cases(facts: Sequence[str] = (), *, first_only: bool = False) -> list[str]:
    """The cases of these facts, or of all, that fail on a fake in this process, each once.

    A case that ends in an error is not a failure: it says nothing about the fake.
    """
    results = case_results(facts, first_only=first_only)
    names = [case.name.partition("[")[0] for case in results if case.verdict is Verdict.FAILED]
    return list(dict.fromkeys(names))


def case_results(facts: Sequence[str] = (), *, first_only: bool = False, **selection: str) -> list[CaseResult]:
    """The results of the cases of these facts, or of all, on a fake in this process; drawn plans are left out.

    The fake has the store that the facts need. With `first_only` the first failure ends the run. `selection` is as in
    `suite.run`. Raises RuntimeError if no case ran.
    """
    judge, files = _Judge(first_only=first_only), suite.CASES
    if facts:
        files = [file for file in files if any(f'"{fact}"' in file.read_text(encoding="utf-8") for fact in facts)]
    if not files:
        return []
    printed = suite.run(files, judge, store=suite.store_of(facts), facts=facts, **selection)
    if not judge.results:
        raise RuntimeError(printed)
    return judge.results


class _Judge:
    """A pytest plugin that notes the results of the cases."""

    def __init__(self, *, first_only: bool) -> None:
        self.results: list[CaseResult] = []
        self._first_only = first_only

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take part in the suite's judging."""

        def note(result: CaseResult) -> None:
            self.results.append(result)
            if self._first_only and result.verdict is Verdict.FAILED:
                session.shouldstop = "killed"

        session.config.stash[SESSION].on_result = note


def _verdict(mutant: Mutant, *, others: bool) -> str:
    """The case of its fact that kills the mutant. Otherwise, with `others`, how many other cases do."""
    mutant.build_in()
    killers = failed_cases([mutant.fact], first_only=True)
    if killers:
        return killers[0]
    return f"SURVIVES; other cases: {', '.join(failed_cases()) or 'none'}" if others else "SURVIVES"


@click.command()
@click.argument("names", metavar="[FACT | CLAUSE]...", nargs=-1)
@click.option("--seconds", type=float, default=float("inf"), help="Begin no mutant after this time.")
def main(names: tuple[str, ...], seconds: float) -> None:
    """Print which case kills each mutant; the exit code is 1 if one survives or the clean fake is blamed."""
    is_sample = seconds < float("inf")
    mutants = {mutant.name: mutant for mutant in (chosen(names) if names else MUTANTS)}
    order = children.drawn(mutants) if is_sample else [*mutants]
    jobs: dict[str, Callable[[], Any]] = {
        name: partial(_verdict, mutants[name], others=not is_sample) for name in order
    }
    if not names and not is_sample:
        jobs["no defect"] = failed_cases
        for first in range(0, _CLEAN_HISTORIES, _AT_ONCE):
            jobs[f"histories from {first}"] = partial(laws_broken, range(first, first + _AT_ONCE))
    done = survivors = blamed = 0
    for name, result in children.results(jobs, seconds):
        if name in mutants:
            is_killed = result.startswith("test_")
            done, survivors = done + 1, survivors + (not is_killed)
            click.echo(f"{mutants[name].fact:12}{name:36}{result}")
        elif result:
            blamed += 1
            click.echo(f"{name}: {result}")
    click.echo(f"{done} of {len(MUTANTS)} mutants, {survivors} not killed by a case of their fact")
    sys.exit(1 if survivors or blamed or not done else 0)


if __name__ == "__main__":
    main()
