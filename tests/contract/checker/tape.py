"""A recorded story whose calls have names, to be tampered with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from codeq_contract.checker import CheckResult, check
from codeq_contract.recordings.format import Call, Recording
from codeq_contract.recordings.times import MILLISECOND


class Tape:
    """A copy of a recording in which each call goes by the name of its step."""

    def __init__(self, recording: Recording, names: Iterable[str]) -> None:
        self.recording = recording
        ordered = sorted(recording.calls, key=lambda call: call.number)
        self.calls: dict[str, Call] = dict(zip(names, ordered, strict=True))
        self.callbacks = list(recording.callbacks)

    def id_of(self, create: str) -> str:
        """The id of the task that a create made."""
        task_id: str = json.loads(self.calls[create].reply)["id"]
        return task_id

    def change(self, name: str, **changes: Any) -> None:
        """Change what was recorded of a call: who, status, reply, body and so on."""
        self.calls[name] = replace(self.calls[name], **changes)

    def show(self, name: str, **fields: object) -> None:
        """Change fields of a call's reply."""
        self.change(name, reply=json.dumps({**json.loads(self.calls[name].reply), **fields}))

    def ask(self, name: str, **fields: object) -> None:
        """Change fields of a call's body."""
        self.change(name, body=json.dumps({**json.loads(self.calls[name].body or "{}"), **fields}))

    def shift(self, name: str, ms: int) -> None:
        """Let a call happen that much later."""
        call = self.calls[name]
        self.change(name, sent=call.sent + ms * MILLISECOND, answered=call.answered + ms * MILLISECOND)

    def repeat(self, name: str, copy: str, *, ms: int, who: str | None = None, **fields: object) -> None:
        """Record a call once more under another name: so much later, by someone else, with another reply."""
        call = self.calls[name]
        self.calls[copy] = replace(call, number=len(self.calls) + 1, identity=who or call.identity)
        self.shift(copy, ms)
        if fields:
            self.show(copy, **fields)

    def drop(self, *names: str) -> None:
        """Forget calls."""
        for name in names:
            del self.calls[name]

    def lose(self, name: str) -> None:
        """Let a call have no reply."""
        self.change(name, status=0, reply="")

    def report(self, only: Iterable[int] | None = None) -> CheckResult:
        """The checker's report: of all calls, or `only` of those with these numbers."""
        kept = [call for call in self.calls.values() if only is None or call.number in only]
        calls = tuple(sorted(kept, key=lambda call: call.sent))
        return check(replace(self.recording, calls=calls, callbacks=tuple(self.callbacks)))

    def broken(self) -> Mapping[str, set[str]]:
        """Each broken law, with the names of the creates of the tasks concerned."""
        names = {self.id_of(name): name for name, call in self.calls.items() if call.status == 202}
        broken: dict[str, set[str]] = {}
        for law, violation in self.report().violations:
            broken.setdefault(law, set()).add(names.get(violation.task_id, violation.task_id))
        return broken
