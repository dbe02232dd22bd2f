"""How long a task waits before its next delivery: the backoff policies (N6), in whole seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .rules import Rules
    from .sources import Chance

DEFAULT_POLICY = "exp_full_jitter"
POLICIES = ("fixed", "linear", "exponential", "exp_equal_jitter", DEFAULT_POLICY)

#: 2 to this power exceeds any cap a 64-bit setting can hold.
_LARGEST_EXPONENT = 63


def delay(rules: Rules, attempts: int, chance: Chance) -> int:
    """The delay in seconds after ``attempts`` attempts, as the policy has it (N6).

    An unknown policy is the default one, ``exp_full_jitter``.
    """
    most = rules.backoff_max
    match rules.backoff_policy:
        case "fixed":
            return min(most, rules.backoff_base)
        case "linear":
            return min(most, rules.backoff_base * max(1, attempts))
        case "exponential":
            return min(most, _exponential(rules.backoff_base, attempts))
        case "exp_equal_jitter":
            ceiling = min(most, _exponential(rules.backoff_base, attempts))
            half = ceiling // 2
            return chance.between(half, 2 * half)
        case _:
            return chance.between(0, min(most, _exponential(rules.backoff_base, attempts)))


def _exponential(base: int, attempts: int) -> int:
    return base << min(attempts, _LARGEST_EXPONENT)
