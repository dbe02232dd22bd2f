"""The gate on the ratios of the benchmarks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.gate import BASELINE, failures, ratios, record

BASE = {"echo": {"ratio": 1.0, "noise": 0.05}, "start": {"ratio": 20.0, "noise": 0.0}}


def figures(echo: float | None = 1.0, start: float = 0.2, yardstick: float = 0.01) -> dict[str, Any]:
    rows = [
        {"what": "echo", "value": echo, "unit": "", "more_is_better": True},
        {"what": "start", "value": start, "unit": " s", "more_is_better": False},
    ]
    return {"yardstick": yardstick, "rows": rows}


@pytest.mark.parametrize(
    ("found", "failing"),
    [
        (figures(), []),
        (figures(echo=2, start=0.1), []),
        (figures(echo=0.88), []),  # within 10 % and the noise
        (figures(echo=0.85), ["echo"]),
        (figures(start=0.219), []),
        (figures(start=0.221), ["start"]),
        (figures(start=0.4, yardstick=0.02), []),  # a machine of half the speed
        (figures(echo=None), []),  # cannot be measured here
    ],
)
def test_a_row_that_gets_more_than_ten_percent_worse_fails(found: dict[str, Any], failing: list[str]) -> None:
    assert [line.partition(":")[0] for line in failures(found, BASE)] == failing


def test_a_row_without_a_counterpart_fails() -> None:
    assert list(failures(figures(), {"echo": BASE["echo"]})) == ["start: not in the baseline"]
    assert list(failures(figures(), {**BASE, "old": BASE["echo"]})) == ["old: not measured"]


def test_the_baseline_is_the_median_of_the_runs_and_their_spread() -> None:
    runs = [figures(echo=echo) for echo in (0.9, 1.0, 1.1)]
    assert record(runs)["echo"] == {"ratio": 1.0, "noise": pytest.approx(0.2)}
    assert ratios(runs[0])["start"] == (20.0, False)


def test_the_stored_baseline_has_ratios_and_noise_only() -> None:
    stored = json.loads(BASELINE.read_text(encoding="utf-8"))
    assert stored
    assert all(row.keys() == {"ratio", "noise"} and row["ratio"] > 0 for row in stored.values())
