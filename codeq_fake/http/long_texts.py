"""Long texts in replies: written in slices, since to write tens of megabytes at once would hold up the others."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from codeq_fake.core.slices import Slices
from codeq_fake.documents import LONG
from codeq_fake.journal import TouchedTask
from codeq_fake.wire import escaped, literal, quote

from . import replies
from .replies import Reply

#: Stands for a long text. JSON text cannot contain it.
_MARK = "\0"


class LongTexts:
    """The long texts of one reply, in their order. Its JSON text has a mark in the place of each."""

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: list[tuple[str, Callable[[str], str]]] = []

    def literal(self, text: str) -> str:
        """A string literal to be escaped later, or the mark of a long one."""
        if len(text) < LONG:
            return literal(text)
        self._texts.append((text, _content))
        return f'"{_MARK}"'

    def json(self, text: str) -> str:
        """JSON text to be escaped later, or the mark of a long one."""
        if len(text) < LONG:
            return text
        self._texts.append((text, escaped))
        return _MARK

    def reply(self, text: str, status: int = 200, tasks: tuple[TouchedTask, ...] = (), reason: str = "") -> Reply:
        """The reply with a JSON text that may have marks."""
        if not self._texts:
            return replies.json(text, status, tasks, reason)
        return Reply(status, b"", replies.JSON, tasks, "", reason, self._written(text))

    def _written(self, text: str) -> Slices[bytes]:
        """The JSON text in UTF-8, with the long texts."""
        head, *others = text.split(_MARK)
        written = BytesIO()  # other than bytes that are joined, it returns its content without copying it
        written.write(head.encode())
        for (long, write), other in zip(self._texts, others, strict=True):
            for start in range(0, len(long), LONG):
                written.write(write(long[start : start + LONG]).encode())
                yield
            written.write(other.encode())
        return written.getvalue()


def _content(text: str) -> str:
    """The content of a string literal."""
    return quote(text)[1:-1]
