"""How many runs of a simulation one core does in a second, and how long the example of the guide takes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from codeq_fake.simulation.runs import run_once
from tests.simulation.support import PROGRAMS, light_worker, twenty_tasks

from .rows import at_least, under

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.simulation.server import ServerKind
    from tests.simulation.support import Program

    from .effort import Effort
    from .rows import Row

#: Client -> the least runs a second.
_GOALS = {"httpx": 15, "aiohttp": 25, "codeq_client": 15}
_RUNS_OF_EXAMPLE = 200
_GUIDE = Path(__file__).parents[1] / "docs" / "how-to" / "simulate-your-workers.md"


def measure(effort: Effort) -> list[Row]:
    """The rows. Modules are loaded, and lists of what to replace are made, in a run that does not count."""
    return [
        *(
            at_least(
                goal,
                f"simulated runs of 3 workers on {client} with 20 tasks, in a second of CPU",
                runs_per_second(PROGRAMS[client], effort.repetitions),
                " runs/s",
            )
            for client, goal in _GOALS.items()
        ),
        at_least(
            40,
            "simulated runs of 3 workers on httpx with 20 tasks, with a light server and transport, in a second of CPU",
            runs_per_second(light_worker, effort.repetitions, server="light"),
            " runs/s",
        ),
        under(15, f"{_RUNS_OF_EXAMPLE} runs of the guide's example, two processes", seconds_of_example(), " s"),
    ]


def runs_per_second(program: Program, runs: int, *, server: ServerKind = "uvicorn") -> float:
    """Runs in calm weather, by the median of their CPU time."""
    run = partial(run_once, partial(twenty_tasks, program=program), server=server)
    _ = run(runs)
    return 1 / median(_cpu_seconds(partial(run, seed)) for seed in range(runs))


def _cpu_seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def seconds_of_example() -> float:
    """The real seconds of the guide's example, with the key that mends it, so that all runs hold."""
    guide = _GUIDE.read_text(encoding="utf-8")
    files = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", guide, re.DOTALL))
    (keyed,) = re.findall(r"```python\n(charge\(.*\))\n```", guide)
    files["shop.py"] = re.sub(r"charge\(order, .*\)", keyed, files["shop.py"])
    with TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "codeq_fake", "simulate", "test_shop.py", "--processes", "2"]
        start = time.perf_counter()
        subprocess.run([*command, "--runs", str(_RUNS_OF_EXAMPLE)], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start
