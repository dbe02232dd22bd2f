"""Checks recorded histories against the contract's laws: pure functions that are sound for every possible timing."""

from __future__ import annotations

from .judgements import CheckResult, Judgement, Verdict, check
from .laws import LAWS, Law, Mark, Violation
