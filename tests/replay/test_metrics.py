from __future__ import annotations

import pytest

from codeq_contract.recordings.times import MILLISECOND
from codeq_contract.replay.metrics import metrics_mismatches

BOUNDS = ("0.05", "0.1", "0.25", "0.5", "+Inf")


def page(*counts: int, total: int = 1) -> str:
    """The page of a histogram whose buckets have counted `counts`."""
    bucket = 'codeq_task_processing_latency_seconds_bucket{command="A",status="COMPLETED",le="%s"} %d'
    lines = [bucket % pair for pair in zip(BOUNDS, counts, strict=True)]
    return "\n".join([*lines, f'codeq_task_processing_latency_seconds_count{{command="A"}} {total}'])


RECORDED = page(0, 1, 1, 1, 1)


def differing_bounds(ours: str, lateness: int) -> list[str]:
    return [place.partition('le="')[2].removesuffix('"}') for place, *_ in metrics_mismatches(RECORDED, ours, lateness)]


@pytest.mark.parametrize(
    ("ours", "bounds"),
    [
        pytest.param(page(0, 0, 1, 1, 1), [], id="longer by less than a bucket"),
        pytest.param(page(1, 1, 1, 1, 1), [], id="shorter by less than a bucket"),
        pytest.param(page(0, 0, 0, 1, 1), ["0.25"], id="longer than the lateness explains"),
        pytest.param(
            page(0, 2, 2, 2, 2, total=1), ["0.1", "0.25", "0.5", "+Inf"], id="a latency that nothing explains"
        ),
    ],
)
def test_a_late_replay_counts_a_latency_in_a_neighbouring_bucket(ours: str, bounds: list[str]) -> None:
    assert differing_bounds(ours, 30 * MILLISECOND) == bounds


def test_a_later_replay_counts_it_in_a_later_bucket() -> None:
    assert differing_bounds(page(0, 0, 0, 1, 1), 200 * MILLISECOND) == []


def test_a_replay_on_a_clock_of_its_own_counts_each_latency_in_the_recorded_bucket() -> None:
    assert differing_bounds(page(0, 0, 1, 1, 1), lateness=0) == ["0.1"]


def test_a_missing_bucket_is_a_difference_however_late_the_replay_is() -> None:
    [without_one] = [RECORDED.replace(line + "\n", "") for line in RECORDED.splitlines() if '"0.25"' in line]
    assert differing_bounds(without_one, 200 * MILLISECOND) == ["0.25"]
