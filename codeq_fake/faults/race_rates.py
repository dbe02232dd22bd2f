"""The rates at which the real server's races were seen: what `observed_races` and `--races observed` inject."""

from __future__ import annotations

from . import kinds
from .rule import Rule

# Some 7,200 tasks in eight runs. Z4 was only read in the source: it needs a duplicate id as Z1 does.
_REDELIVERED = 0.0007  # Z1: 5 tasks
_LOST = 0.00014  # Z2: one task
_FALSELY_EMPTY = _REDELIVERED  # Z4

_REVOKED = 0.08  # Z3: 462 of 5,620 completions under load
_ACCEPTED_TWICE = 0.5  # Z5: of two results at the same moment, every second time
_CREATED_TWICE = 0.0012  # Z6: 2 of 1,680 creates beside another with their key


def observed_races(seed: int = 0) -> tuple[Rule, ...]:
    """The real server's races (Z1 to Z6) as often as they were seen there; `seed` makes them repeatable."""
    return (
        kinds.redeliver_finished(probability=_REDELIVERED, seed=seed),
        kinds.lose_task(probability=_LOST, seed=seed + 1),
        kinds.revoke_lease(probability=_REVOKED, seed=seed + 2),
        kinds.false_empty(probability=_FALSELY_EMPTY, seed=seed + 3),
        kinds.accept_result_twice(probability=_ACCEPTED_TWICE, seed=seed + 4),
        kinds.double_create(probability=_CREATED_TWICE, seed=seed + 5),
    )
