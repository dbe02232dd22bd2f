"""A few seconds of the soak, and that it calls a problem what is one."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from tests.soak.report import Report
from tests.soak.soak import soak

MB = 1024 * 1024


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the figures of the server from /proc")
def test_a_short_soak_finds_no_problem() -> None:
    report = asyncio.run(soak(3, seed=1))
    # A second is too short for a probe where other tests run beside this one.
    assert report.problems(longest_probe=5) == []
    assert report.counts["work"] > 0
    assert report.counts["send_and_reset"] > 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"wrong": ["work: 500"]}, "a sound client: work: 500"),
        ({"stderr": "Traceback (most recent call last):"}, "the server wrote: Traceback (most recent call last):"),
        ({"probes": [0.01, 1.5]}, "a probe took 1.50 s"),
        ({"probes": []}, "no probe was answered"),
        ({"memory": [50 * MB, 100 * MB]}, "memory grew from 52,428,800 to 104,857,600 bytes"),
        ({"descriptors": [14, 300, 100]}, "100 descriptors are open, 14 were before"),
        ({"exit_code": -9}, "the server ended with -9"),
    ],
)
def test_a_problem_is_called_one(change: dict[str, Any], problem: str) -> None:
    good: dict[str, Any] = {
        "probes": [0.01],
        "memory": [50 * MB, 60 * MB],
        "descriptors": [14, 300, 14],
        "exit_code": 0,
    }
    assert Report(**good | change).problems() == ([problem] if problem else [])
