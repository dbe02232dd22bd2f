"""Runs the suite on fakes with defects, each in a separate process: the cases of the mutant's fact.

As a program it prints which case kills each mutant (`make mutants`): `python -m tests.mutants.run [FACT | CLAUSE]...`.
With `--seconds` it begins mutants in an order drawn by the commit until that time is over.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import hypothesis  # noqa: F401 - slow to import, and the cases need it
import pytest

import codeq_contract
import codeq_contract.driver.in_process
import codeq_contract.plugin
from codeq_contract.clauses import FACTS
from codeq_contract.driver.clocks import RealClock
from codeq_contract.recordings.times import SECOND
from codeq_contract.report.results import Verdict
from tests.mutants.histories import laws_broken
from tests.mutants.mutants import MUTANTS, Mutant, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from codeq_contract.report import CaseResult
    from tests.mutants.defects import Defect

SUITE = Path(codeq_contract.__file__).parent
CASES = SUITE / "cases"

#: Drawn plans find much, but by chance: a fact needs a case that looks for it.
DRAWN = "test_whatever_producers_and_workers_do_the_server_answers_as_the_contract_says"

_CLEAN_HISTORIES, _AT_ONCE = 1000, 50
#: A mutant that makes the suite wait for ever is not killed.
_PATIENCE = 60


@contextmanager
def built_in(defect: Defect) -> Iterator[None]:
    """The fake of this process has this defect until the context ends."""
    with pytest.MonkeyPatch.context() as patch:
        defect.apply(patch)
        yield


def failed_cases(facts: Sequence[str] = (), *, first_only: bool = False) -> list[str]:
    """The cases of these facts, or of all, that fail on a fake in this process; drawn plans are left out.

    The fake has the store that the facts need.
    A case that ends in an error is not a failure: it says nothing about the fake. Raises RuntimeError if no case ran.
    """
    printed, judge = io.StringIO(), _Judge(first_only=first_only)
    files = sorted(CASES.glob("test_*.py"))
    if facts:
        files = [file for file in files if any(f'"{fact}"' in file.read_text(encoding="utf-8") for fact in facts)]
    if not files:
        return []
    stores = {need.removeprefix("store:") for fact in facts for need in FACTS[fact].needs if need.startswith("store:")}
    options = [
        "-c",
        str(SUITE / "suite.ini"),
        *(f"--codeq-profile={store}" for store in stores),
        "-q",
        "--tb=short",
        "--capture=no",
        f"-k=not {DRAWN}",
    ]
    for name in ("codeq_contract.plugin", "no:cacheprovider", "no:faulthandler", "no:unraisableexception"):
        options += ["-p", name]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        # The plugins of the run around this one (timeouts, workers, Hypothesis) take no part. The one for unraisable
        # exceptions would collect the garbage of all earlier tests five times.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        pytest.main([*map(str, files), *options, f"--codeq-fact={','.join(facts)}"], plugins=[judge])
    if not judge.results:
        raise RuntimeError(printed.getvalue())
    return judge.failed


class _Judge:
    """A pytest plugin that notes the results of the cases."""

    def __init__(self, *, first_only: bool) -> None:
        self.results: list[CaseResult] = []
        self._first_only = first_only

    @property
    def failed(self) -> list[str]:
        """The names of the cases that failed, each once."""
        names = [case.name.partition("[")[0] for case in self.results if case.verdict.value == Verdict.FAILED.value]
        return list(dict.fromkeys(names))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take part in the suite's judging. The suite may have been imported again, so its names are looked up."""
        stash = sys.modules["codeq_contract.plugin"].SESSION

        def note(result: CaseResult) -> None:
            self.results.append(result)
            if self._first_only and self.failed:
                session.shouldstop = "killed"

        session.config.stash[stash].on_result = note


def _verdict(mutant: Mutant, *, others: bool) -> str:
    """The case of its fact that kills the mutant. Otherwise, with `others`, how many other cases do."""
    mutant.build_in()
    killers = failed_cases([mutant.fact], first_only=True)
    if killers:
        return killers[0]
    return f"SURVIVES; other cases: {', '.join(failed_cases()) or 'none'}" if others else "SURVIVES"


def _in_children(jobs: Mapping[str, Callable[[], Any]], seconds: float) -> Iterator[tuple[str, Any]]:
    """The result of each job, done in a forked process. After `seconds` no more of them begin."""
    gc.freeze()
    clock, waiting = RealClock(), [*jobs]
    running: dict[int, tuple[str, Path]] = {}
    end = clock.now() + seconds * SECOND
    with TemporaryDirectory() as folder:
        while running or (waiting and clock.now() < end):
            while waiting and len(running) < (os.cpu_count() or 1) and clock.now() < end:
                name = waiting.pop(0)
                file = Path(folder, str(len(waiting)))
                child = os.fork()
                if not child:
                    signal.alarm(_PATIENCE)
                    _work(jobs[name], file)
                running[child] = (name, file)
            if running:
                child, _ = os.wait()
                name, file = running.pop(child)
                lines = file.read_text(encoding="utf-8") if file.exists() else ""
                yield name, json.loads(lines) if lines else f"HANGS or dies within {_PATIENCE} s"


def _work(job: Callable[[], Any], file: Path) -> None:
    """Do the job in this child and end it."""
    try:
        result = job()
    except BaseException as error:  # noqa: BLE001 - the parent prints it
        result = f"BROKEN: {type(error).__name__}: {error}"
    file.write_text(json.dumps(result), encoding="utf-8")
    os._exit(0)


@click.command()
@click.argument("names", metavar="[FACT | CLAUSE]...", nargs=-1)
@click.option("--seconds", type=float, default=float("inf"), help="Begin no mutant after this time.")
def main(names: tuple[str, ...], seconds: float) -> None:
    """Print which case kills each mutant; the exit code is 1 if one survives or the clean fake is blamed."""
    is_sample = seconds < float("inf")
    mutants = chosen(names) if names else MUTANTS[:]
    if is_sample:
        commit = _commit()
        mutants.sort(key=lambda mutant: sha256(f"{commit} {mutant.name}".encode()).digest())
    jobs: dict[str, Callable[[], Any]] = {
        mutant.name: partial(_verdict, mutant, others=not is_sample) for mutant in mutants
    }
    if not names and not is_sample:
        jobs["no defect"] = failed_cases
        for first in range(0, _CLEAN_HISTORIES, _AT_ONCE):
            jobs[f"histories from {first}"] = partial(laws_broken, range(first, first + _AT_ONCE))
    facts = {mutant.name: mutant.fact for mutant in mutants}
    done = survivors = blamed = 0
    for name, result in _in_children(jobs, seconds):
        if name in facts:
            is_killed = result.startswith("test_")
            done, survivors = done + 1, survivors + (not is_killed)
            click.echo(f"{facts[name]:12}{name:36}{result}")
        elif result:
            blamed += 1
            click.echo(f"{name}: {result}")
    click.echo(f"{done} of {len(MUTANTS)} mutants, {survivors} not killed by a case of their fact")
    sys.exit(1 if survivors or blamed or not done else 0)


def _commit() -> str:
    """The hash of the commit, or nothing outside a repository."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
