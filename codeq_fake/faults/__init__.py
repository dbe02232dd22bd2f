"""Fault injection: rules that say what goes wrong, for which requests and callbacks, and how often.

The `Plan` only decides. The endpoints (`codeq_fake.http.faults`) and the deliveries carry a fault out.
"""

from __future__ import annotations

from .kinds import (
    accept_result_twice,
    callback_late,
    callback_lost,
    callback_twice,
    clock_skew,
    delay,
    double_create,
    drop_reply,
    expire_lease,
    false_empty,
    garble,
    hang,
    lose_task,
    redeliver_finished,
    refuse,
    reset,
    revoke_lease,
    undo_end,
)
from .parsing import read_rules
from .plan import Fault, FaultNotMetWarning, Plan
from .race_rates import observed_races
from .rule import BadFaultError, Occasion, Rule

__all__ = [
    "BadFaultError",
    "Fault",
    "FaultNotMetWarning",
    "Occasion",
    "Plan",
    "Rule",
    "accept_result_twice",
    "callback_late",
    "callback_lost",
    "callback_twice",
    "clock_skew",
    "delay",
    "double_create",
    "drop_reply",
    "expire_lease",
    "false_empty",
    "garble",
    "hang",
    "lose_task",
    "observed_races",
    "read_rules",
    "redeliver_finished",
    "refuse",
    "reset",
    "revoke_lease",
    "undo_end",
]
