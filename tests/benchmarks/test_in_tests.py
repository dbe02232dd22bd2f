from __future__ import annotations

import pytest

from benchmarks.in_tests import seconds_of_work


@pytest.mark.slow
def test_a_task_of_hours_ends_within_seconds() -> None:
    assert 0 < seconds_of_work(hours=2) < 30
