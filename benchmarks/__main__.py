"""Measure speed and size: `python -m benchmarks`. The exit code is 0 whatever the figures are; `gate` compares them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console

from . import (
    batches,
    checker,
    client_costs,
    core_alone,
    holds,
    in_process_clients,
    in_tests,
    manual_time,
    over_http,
    pages,
    parked,
    simulations,
    starting,
)
from .effort import FULL, QUICK
from .rows import as_json, machine, table
from .yardstick import yardstick_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .effort import Effort
    from .rows import Row

_MEASURES: Mapping[str, Callable[[Effort], list[Row]]] = MappingProxyType(
    {
        "requests over HTTP": over_http.measure,
        "batches over HTTP": batches.measure,
        "the core alone": core_alone.measure,
        "holds of the event loop": holds.measure,
        "starting and resetting": starting.measure,
        "the manual clock": manual_time.measure,
        "fakes in tests": in_tests.measure,
        "clients of a fake in process": in_process_clients.measure,
        "parked long polls": parked.measure,
        "the page": pages.measure,
        "the client's worker": client_costs.measure,
        "the history checker": checker.measure,
        "simulated runs": simulations.measure,
    }
)
_WIDTH = 200  # no line of the table is broken, wherever it goes


def main() -> None:
    """Measure every row, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the fake's speed and size.")
    parser.add_argument("--quick", action="store_true", help="smaller and less exact, in under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    rows: list[Row] = []
    yardsticks = [yardstick_seconds()]
    with Console(stderr=True).status("starting") as status:
        for name, measure in _MEASURES.items():
            status.update(f"measuring {name}")
            rows += measure(effort)
            yardsticks.append(yardstick_seconds())
    print(machine(), end="\n\n")
    Console(width=_WIDTH).print(table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(rows, median(yardsticks)), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
