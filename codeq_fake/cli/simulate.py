"""The command `simulate`: run the simulations of a file in many worlds, on all cores, or repeat one run."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from functools import cache
from itertools import islice, repeat
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

import click

from .output import FAILED, MISUSED, Number, exit_with, say, tell

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from rich.console import Console

    from codeq_fake.simulation.runs import Outcome
    from codeq_fake.simulation.search import Simulation

#: How many seeds a process runs before it gets more. The others wait at the end for the last of them.
_CHUNK = 5
#: One run of so many is compared with its repetition.
_COMPARED = 10
_SECONDS_PER_MINUTE = 60
_SECOND = 1_000_000_000
_PACKAGE = Path(__file__).parents[1]


@click.command()
@click.argument("file", metavar="FILE[::TEST]")
@click.option("--runs", type=click.IntRange(min=1), help="Runs of each test. The default is what the test says.")
@click.option("--minutes", type=Number(min=0, min_open=True), help="End after so many minutes.")
@click.option("--first-seed", type=int, help="The seed of the first run. The default is what the test says.")
@click.option("--compare", is_flag=True, help="Repeat each tenth run in another process, and compare the histories.")
@click.option("--seed", type=int, help="Repeat the run with this seed.")
@click.option("--plan", "plan_text", metavar="PLAN", help="Repeat a run with this weather, as a failure prints it.")
@click.option("--processes", type=click.IntRange(min=1), help="How many processes run. The default is all cores.")
@click.option("--story", type=click.Path(dir_okay=False, path_type=Path), help="Write the story of a failure as HTML.")
@click.option("--quiet", "-q", is_flag=True, help="Do not show how far the search is.")
def simulate(
    *,
    file: str,
    runs: int | None,
    minutes: float | None,
    first_seed: int | None,
    compare: bool,
    seed: int | None,
    plan_text: str | None,
    processes: int | None,
    story: Path | None,
    quiet: bool,
) -> None:
    """Search for a failing run of simulations.

    FILE is a Python file whose tests have the decorator codeq_fake.simulation.simulate; FILE::TEST is one of them. The
    search ends at the first failure, and prints its seed, the smallest weather that causes it, and what happened.
    Meanwhile it shows on standard error how far it is. Exit code 1 says that a run has failed.
    """
    from codeq_fake.clocks.clock import stopwatch  # noqa: PLC0415 - other commands need none of it

    from .search_display import progress_console  # noqa: PLC0415 - as above

    path_text, _, name = file.partition("::")
    path = Path(path_text)
    simulations = _simulations(path, name)
    console = progress_console(quiet=quiet)
    if seed is not None or plan_text is not None:
        _repeat(_only(simulations), seed, plan_text, story, console)
        return
    until = None if minutes is None else stopwatch() + round(minutes * _SECONDS_PER_MINUTE * _SECOND)
    for simulation in simulations:
        begin = simulation.first_seed if first_seed is None else first_seed
        seeds = range(begin, begin + (runs or simulation.runs))
        count = processes or os.cpu_count() or 1
        done, failing = _search(path, simulation, seeds, until=until, processes=count, console=console)
        if failing is not None:
            outcome = simulation.run(failing)
            _fail(simulation, outcome, _smallest(simulation, outcome, console), story)
        if compare:
            _compare(path, simulation, seeds[:done:_COMPARED], console)
        click.echo(f"{simulation.name}: {done} runs hold")


def _repeat(
    simulation: Simulation, seed: int | None, plan_text: str | None, story: Path | None, console: Console
) -> None:
    """Run once, and say what came of it."""
    from codeq_fake.simulation.plan import PlanError, read_plan  # noqa: PLC0415 - other commands need none of it

    try:
        outcome = simulation.replay(read_plan(plan_text)) if plan_text is not None else simulation.run(seed or 0)
    except PlanError as error:
        exit_with(f"--plan: {error}", MISUSED)
    if simulation.fails(outcome):
        _fail(simulation, outcome, _smallest(simulation, outcome, console) if plan_text is None else outcome, story)
    click.echo(f"{simulation.name}: the run with seed {outcome.plan.seed} holds")


def _search(
    path: Path, simulation: Simulation, seeds: range, *, until: int | None, processes: int, console: Console
) -> tuple[int, int | None]:
    """Run on several processes until the first failure. Return how many runs there were, and the seed that fails."""
    from concurrent.futures import FIRST_COMPLETED, wait  # noqa: PLC0415 - as above

    from codeq_fake.clocks.clock import stopwatch  # noqa: PLC0415 - as above

    from .search_display import SearchDisplay  # noqa: PLC0415 - as above

    runs = 0
    failing: list[int] = []
    seconds = None if until is None else (until - stopwatch()) / _SECOND
    display = SearchDisplay(console, simulation.name, most=len(seeds), done_text="runs hold", seconds=seconds)
    with _pool(processes) as pool, display:
        chunks = (seeds[begin : begin + _CHUNK] for begin in range(0, len(seeds), _CHUNK))
        pending: dict[Future[int | None], int] = {}
        while not failing:
            # One more than there are processes, so that none has to wait for its next one.
            for chunk in islice(chunks, processes + 1 - len(pending)):
                pending[pool.submit(failing_seed, path, simulation.name, chunk)] = len(chunk)
            if not pending or (until is not None and stopwatch() >= until):
                break
            ended, _ = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in ended:
                runs += pending.pop(future)
                seed = future.result()
                failing += [] if seed is None else [seed]
            display.show(runs)
        pool.shutdown(cancel_futures=True)
    return runs, min(failing, default=None)


def failing_seed(path: Path, name: str, seeds: range) -> int | None:
    """The first of these seeds with which a test fails. Runs in another process."""
    failure = _only(_simulations(path, name)).first_failure(seeds)
    return None if failure is None else failure.plan.seed


def _compare(path: Path, simulation: Simulation, seeds: range, console: Console) -> None:
    """Run these seeds in two processes, and end the command where their histories differ."""
    from .search_display import SearchDisplay  # noqa: PLC0415 - as above

    display = SearchDisplay(console, simulation.name, most=len(seeds), done_text="histories are equal")
    with _pool(1) as one, _pool(1) as other, display:
        digests = [pool.map(digest, repeat(path), repeat(simulation.name), seeds) for pool in (one, other)]
        for done, (seed, first, second) in enumerate(zip(seeds, *digests, strict=True), start=1):
            if first != second:
                say(
                    f"seed {seed} of {simulation.name} has another history in each process: the program uses what the",
                    "simulation does not control, such as the order of a set, the id of an object, or a file",
                )()
                sys.exit(FAILED)
            display.show(done)


def digest(path: Path, name: str, seed: int) -> str:
    """A digest of the history of one run. Runs in another process."""
    return _only(_simulations(path, name)).run(seed).digest


def _pool(processes: int) -> ProcessPoolExecutor:
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - as above
    from multiprocessing import get_context  # noqa: PLC0415 - as above

    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def _smallest(simulation: Simulation, outcome: Outcome, console: Console) -> Outcome:
    """The same failure with as little weather as possible."""
    console.print(
        f"seed {outcome.plan.seed} fails; looking for the smallest weather that still breaks it", markup=False
    )
    return simulation.smallest(outcome)


def _fail(simulation: Simulation, outcome: Outcome, smallest: Outcome, story: Path | None) -> NoReturn:
    """Say all about a failed run, and end the command."""
    say(*simulation.describe(outcome, smallest).splitlines())()
    if story is not None:
        story.write_text(simulation.page(smallest), encoding="utf-8")
        tell(f"the story is in {story}")
    sys.exit(FAILED)


def _simulations(path: Path, name: str) -> list[Simulation]:
    """The simulations of a file, or the one with this name."""
    from codeq_fake.simulation.decorator import ATTRIBUTE  # noqa: PLC0415 - as above

    module = _loaded(path)
    simulations = [getattr(value, ATTRIBUTE) for value in vars(module).values() if hasattr(value, ATTRIBUTE)]
    chosen = [simulation for simulation in simulations if name in {"", simulation.name}]
    if not chosen:
        known = ", ".join(simulation.name for simulation in simulations) or "none"
        exit_with(f"{path}: there is no simulation {name or 'in it'}; found {known}", MISUSED)
    return chosen


def _only(simulations: list[Simulation]) -> Simulation:
    if len(simulations) != 1:
        names = ", ".join(simulation.name for simulation in simulations)
        exit_with(f"a run to be repeated is one of one test: add ::TEST, one of {names}", MISUSED)
    return simulations[0]


@cache
def _loaded(path: Path) -> ModuleType:
    """The module of a file. As with pytest, it can import from the folder of the file and from the current one.

    It is loaded only once in a process: a world replaces `time.time` and the like, by whatever name a module imports
    them, but looks for them only when the number of loaded modules has changed.
    """
    sys.path[:0] = [str(path.resolve().parent), str(Path.cwd())]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        exit_with(f"{path}: there is no such Python file", MISUSED)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - whatever the file raises
        exit_with(f"{path} cannot be loaded: {_place_of(error)}{type(error).__name__}: {error}", MISUSED)
    return module


def _place_of(error: Exception) -> str:
    """The last line of the user's code that an error has passed, such as `test_shop.py, line 3: `."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(("<frozen", str(_PACKAGE)))]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: " if own else ""
