"""How the suite speaks to a CodeQ server, whichever and wherever it is: calls, a clock, callers and a webhook."""

from __future__ import annotations

from codeq_contract.driver.clock import Clock, NotInTimeError
from codeq_contract.driver.driver import Driver
from codeq_contract.driver.namespace import Namespace
from codeq_contract.driver.operation import Op, Outcome, Reply, UnsupportedError
from codeq_contract.driver.receiver import Answer, Receiver
from codeq_contract.driver.setup import PRODUCTION, TRACING, Knobs, Setup
from codeq_contract.driver.tolerances import Span, Tolerances

__all__ = [
    "PRODUCTION",
    "TRACING",
    "Answer",
    "Clock",
    "Driver",
    "Knobs",
    "Namespace",
    "NotInTimeError",
    "Op",
    "Outcome",
    "Receiver",
    "Reply",
    "Setup",
    "Span",
    "Tolerances",
    "UnsupportedError",
]
