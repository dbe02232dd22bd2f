"""The gallery: each broken program is found, and the page lists all of them.

`make gallery` runs the right programs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from codeq_fake.simulation.log import Entry
from codeq_fake.simulation.runs import run_once
from codeq_fake.simulation.weather import Weather
from tests.simulation.gallery.scenarios import SCENARIOS, Scenario, no_lease_is_left_behind
from tests.simulation.worlds import STARTED_AT, Run

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "broken-workers.md"

#: On another minor version of Python a seed gives another history, so the search goes on after the known run.
MOST_RUNS = 60

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@pytest.mark.slow
@each_scenario
def test_a_broken_program_is_found(scenario: Scenario) -> None:
    seeds = range(scenario.seed, scenario.seed + MOST_RUNS)
    assert any(run_once(scenario.broken, seed, weather=Weather()).failed for seed in seeds)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("effect_before_the_fence", 136),  # a heartbeat that came after the lease was answered with 200 (H3)
        ("shutdown_drops_batch", 379),  # a renewal of which no answer came
        ("prefetch", 485),  # a batch that takes longer than its leases: no claim for two minutes
        ("own_clock", 394),  # a delay of 900 s after the tenth attempt
    ],
)
def test_a_right_program_survives_a_seed_that_it_once_did_not(name: str, seed: int) -> None:
    [scenario] = (scenario for scenario in SCENARIOS if scenario.name == name)
    outcome = run_once(scenario.right, seed, weather=Weather())
    assert (outcome.error, outcome.failed) == (None, False)


@pytest.mark.process
@pytest.mark.slow
def test_the_survey_runs_in_other_processes_and_prints_a_line_for_each_program() -> None:
    options = ["--only", "no_heartbeat", "--searches", "1", "--right", "1", "--processes", "1"]
    command = [sys.executable, "-m", "tests.simulation.gallery", *options]
    survey = subprocess.run(command, cwd=PAGE.parents[2], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"program .*\nno_heartbeat +1, 1 +1  none\n", survey.stdout)


def test_a_process_does_not_leave_behind_what_the_one_before_it_held(run: Run) -> None:
    task = run.create()
    run.claim("worker-1", lease=60)
    run.advance(10)
    run.heartbeat("worker-1", task)
    log = [Entry(0.0, "worker-1", "started"), Entry(20.0, "worker-1", "ended")]
    world: Any = SimpleNamespace(requests=run.requests, fake=run.fake, started_at=STARTED_AT, log=log)
    with pytest.raises(AssertionError, match=r"worker-1 ended at .* and still held"):
        no_lease_is_left_behind(world)
    log.insert(1, Entry(15.0, "worker-1", "started again"))
    no_lease_is_left_behind(world)


@each_scenario
def test_each_program_says_in_one_line_what_was_wrong_and_what_to_do(scenario: Scenario) -> None:
    assert 40 < len(scenario.lesson) <= 120
    assert ":" in scenario.lesson
    assert "\n" not in scenario.lesson


@each_scenario
def test_the_page_of_the_gallery_has_each_lesson(scenario: Scenario) -> None:
    assert f"| `{scenario.name}` | {scenario.lesson} |" in PAGE.read_text(encoding="utf-8")
