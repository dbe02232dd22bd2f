"""Compare figures with the baseline: `python -m benchmarks.gate FIGURES`, a file that `--json` wrote.

The baseline has ratios only: a figure that depends on the machine is divided by the machine's yardstick. A row fails
when it is more than 10 % worse than its baseline, plus the noise that the row has from one run to the next.
`--record FIGURES ...` makes a new baseline from several runs on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BASELINE = Path(__file__).with_name("baseline.json")
ALLOWED_LOSS = 0.10

#: How a figure becomes a ratio: seconds and shares of a core shrink with a faster machine, and rates grow.
_POWERS = {"": 0, " KB": 0, " s": -1, " ms": -1, " of a core": -1, " cycles/s": 1, " runs/s": 1}


def ratios(figures: Mapping[str, Any]) -> dict[str, tuple[float, bool]]:
    """Each measured row's ratio, and whether more of it is better. Raises KeyError for a unit that is not known."""
    return {
        row["what"]: (row["value"] * figures["yardstick"] ** _POWERS[row["unit"]], row["more_is_better"])
        for row in figures["rows"]
        if row["value"] is not None
    }


def loss(ratio: float, base: float, *, more_is_better: bool) -> float:
    """How much worse a ratio is than its baseline: 0.1 is 10 % worse, a negative loss is a gain."""
    return base / ratio - 1 if more_is_better else ratio / base - 1


def failures(figures: Mapping[str, Any], baseline: Mapping[str, Any]) -> Iterator[str]:
    """A line for each row that is too much worse or has no counterpart."""
    found = ratios(figures)
    skipped = {row["what"] for row in figures["rows"] if row["value"] is None}
    for what in sorted(found.keys() ^ baseline.keys() - skipped):
        yield f"{what}: {'not in the baseline' if what in found else 'not measured'}"
    for what in found.keys() & baseline.keys():
        ratio, more_is_better = found[what]
        base, noise = baseline[what]["ratio"], baseline[what]["noise"]
        lost = loss(ratio, base, more_is_better=more_is_better)
        if lost > ALLOWED_LOSS + noise:
            yield f"{what}: {lost:.0%} worse than the baseline (ratio {ratio:.4g}, was {base:.4g}, noise {noise:.0%})"


def record(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """A baseline: the median of each row's ratios, and their spread as the noise."""
    every = [ratios(run) for run in runs]
    baseline = {}
    for what in every[0]:
        values = [run[what][0] for run in every if what in run]
        middle = median(values)
        noise = (max(values) - min(values)) / middle if middle else 0.0
        baseline[what] = {"ratio": _rounded(middle), "noise": _rounded(noise)}
    return baseline


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> None:
    """Compare, or record. The exit code is 1 when a row fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description="Compare figures with the baseline.")
    parser.add_argument("figures", nargs="+", type=Path, help="files that `python -m benchmarks --json` wrote")
    parser.add_argument("--record", action="store_true", help="make these runs the new baseline")
    options = parser.parse_args()
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in options.figures]
    if options.record:
        BASELINE.write_text(json.dumps(record(runs), indent=2) + "\n", encoding="utf-8")
        return
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    found = [line for figures in runs for line in failures(figures, baseline)]
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
