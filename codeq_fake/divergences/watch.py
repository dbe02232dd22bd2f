"""Looks through a fake's requests, each once, for what will surprise whoever sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import Call
from .past import Past
from .rules import RULES, of_settings

if TYPE_CHECKING:
    from codeq_fake.journal import Journal, Request
    from codeq_fake.settings import Settings

    from .surprise import Surprise


class Watch:
    """The surprises of one fake, from one journal. Nothing is looked at until somebody asks."""

    def __init__(self, journal: Journal[Request], settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        self._read = 0
        self._past = Past()
        self._rules = list(RULES)
        self._found: list[Surprise] = []

    def look(self) -> list[Surprise]:
        """All surprises so far, in the order in which they came; what the journal has dropped unseen is missing."""
        new: list[Request] = []
        for request in reversed(self._journal.entries):
            if request.n <= self._read:
                break
            new.append(request)
        for request in reversed(new):
            _ = self.see(request)
        return [*of_settings(self._settings), *self._found]

    def see(self, request: Request) -> list[Surprise]:
        """The surprises that this request is the first to show. Requests are to be seen in their order."""
        if request.n <= self._read:
            return []
        self._read = request.n
        call = Call.of(request)
        if call is None:
            return []
        shown = [rule for rule in self._rules if call.operation in rule.operations and rule.shows(call, self._past)]
        self._past.learn(call)
        for rule in shown:
            self._rules.remove(rule)
        new = [rule.surprise(call) for rule in shown]
        self._found += new
        return new
