"""Requests and replies as a report may show them: without tokens and secrets, and not too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.recordings.times import SECOND
from codeq_contract.report.results import Shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.driver import Driver
    from codeq_contract.suite.case_context import Exchange

_LAST = 40
_LONGEST = 2000


def shown(transcript: Sequence[Exchange], driver: Driver) -> tuple[Shown, ...]:
    """The last exchanges of a case."""
    if not transcript:
        return ()
    began = transcript[0].reply.called
    return tuple(_shown(exchange, began, driver) for exchange in transcript[-_LAST:])


def without_secrets(text: str, driver: Driver) -> str:
    """`text` with tokens and secrets blotted out."""
    for secret in (*driver.tokens.values(), driver.knobs.callback_secret):
        if secret:
            text = text.replace(secret, "***")
    return text


def _shown(exchange: Exchange, began: int, driver: Driver) -> Shown:
    op, reply = exchange.op, exchange.reply
    headers = "".join(f"\n{name}: {_clean(value, driver)}" for name, value in op.headers.items())
    return Shown(
        called=round((reply.called - began) / SECOND, 4),
        returned=round((reply.returned - began) / SECOND, 4),
        identity=op.identity,
        request=f"{op.method} {op.path}{headers}",
        body=None if op.body is None else _clean(op.body.decode(errors="backslashreplace"), driver),
        status=reply.status,
        reply=_clean(reply.text or reply.problem, driver),
    )


def _clean(text: str, driver: Driver) -> str:
    text = without_secrets(text, driver)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(text)} characters)"
