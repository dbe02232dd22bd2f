"""Holds recorded histories to the contract's laws: pure functions, sound whatever the timing."""

from __future__ import annotations

from codeq_contract.checker.judgements import Judgement, Report, Verdict, check
from codeq_contract.checker.laws import LAWS, Breach, Law, Mark

__all__ = ["LAWS", "Breach", "Judgement", "Law", "Mark", "Report", "Verdict", "check"]
