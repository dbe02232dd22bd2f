"""How the suite speaks to a CodeQ server, whichever and wherever it is: calls, a clock, callers and a webhook."""

from __future__ import annotations

from codeq_contract.driver.clocks import Clock, NotInTimeError
from codeq_contract.driver.interface import Driver
from codeq_contract.driver.namespace import Namespace
from codeq_contract.driver.requests import Op, Outcome, Reply, UnsupportedError
from codeq_contract.driver.server_settings import PRODUCTION, TRACING, Knobs, Setup
from codeq_contract.driver.time_bounds import Span, Tolerances
from codeq_contract.driver.webhooks import Answer, Receiver

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
