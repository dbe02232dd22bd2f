"""The transcript of a case in a report: its last requests and replies, shortened, without tokens and secrets."""

from __future__ import annotations

from collections.abc import Sequence

from codeq_contract.driver import Driver, Exchange
from codeq_contract.recordings.times import SECOND

from .results import ShownExchange

#: The most requests of a case that are shown, and the most characters of one text of them.
_MAX_EXCHANGES = 40
_MAX_LENGTH = 2000


def shown(transcript: Sequence[Exchange], driver: Driver) -> tuple[ShownExchange, ...]:
    """The last exchanges of a case."""
    if not transcript:
        return ()
    start = transcript[0].reply.called
    return tuple(_shown(exchange, start, driver) for exchange in transcript[-_MAX_EXCHANGES:])


def without_secrets(text: str, driver: Driver) -> str:
    """`text` with `***` in place of tokens and secrets."""
    for secret in (*driver.tokens.values(), driver.settings.callback_secret):
        if secret:
            text = text.replace(secret, "***")
    return text


def _shown(exchange: Exchange, start: int, driver: Driver) -> ShownExchange:
    """A request with its reply, with times in seconds since `start`."""
    request, reply = exchange.request, exchange.reply
    headers = "".join(f"\n{name}: {_short(value, driver)}" for name, value in request.headers.items())
    return ShownExchange(
        called=round((reply.called - start) / SECOND, 4),
        returned=round((reply.returned - start) / SECOND, 4),
        identity=request.identity,
        request=f"{request.method} {request.path}{headers}",
        body=None if request.body is None else _short(request.text, driver),
        status=reply.status,
        reply=_short(reply.text or reply.problem, driver),
    )


def _short(text: str, driver: Driver) -> str:
    text = without_secrets(text, driver)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]} ... ({len(text)} characters)"
