"""Holds recorded histories to the contract's laws: pure functions, sound whatever the timing."""

from __future__ import annotations

from codeq_contract.checker.laws import LAWS, Breach, Law, Mark
from codeq_contract.checker.verdict import Judgement, Report, Verdict, check

__all__ = ["LAWS", "Breach", "Judgement", "Law", "Mark", "Report", "Verdict", "check"]
