"""Checks recordings against the contract's laws: they report a violation only if no possible timing explains it."""

from __future__ import annotations

from .judgements import CheckResult, Judgement, Validity, check, check_file
from .laws import LAWS, Law, Mark, Violation
