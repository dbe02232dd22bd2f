"""Faults on purpose: rules of what is to go wrong, with which requests and callbacks, and how often.

Nothing here does any of it: :class:`Plan` decides, and those who answer requests and send callbacks carry it out.
"""

from __future__ import annotations

from .constructors import (
    callback_late,
    callback_lost,
    callback_twice,
    clock_skew,
    delay,
    drop_reply,
    expire_lease,
    false_empty,
    garble,
    hang,
    lose_task,
    observed_races,
    redeliver_finished,
    refuse,
    reset,
    revoke_lease,
)
from .errors import BadFaultError, FaultNotMetWarning
from .occasion import Occasion
from .parsing import read_rules
from .plan import Fault, Plan
from .rule import Rule

__all__ = [
    "BadFaultError",
    "Fault",
    "FaultNotMetWarning",
    "Occasion",
    "Plan",
    "Rule",
    "callback_late",
    "callback_lost",
    "callback_twice",
    "clock_skew",
    "delay",
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
]
