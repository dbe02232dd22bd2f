"""Why a caller is not let in: a text of the contract, and which of two kinds of no it is.

    Refusal
    ├── Unauthenticated     nobody that we know (A1 to A5, A7, A8)
    └── Forbidden           someone that we know, without the right (A5)

What status a refusal becomes is the business of ``codeq_fake.http``.
"""

from __future__ import annotations


class Refusal(Exception):
    """The caller is not let in. ``text`` is what to answer."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Unauthenticated(Refusal):
    """It is not known who calls."""


class Forbidden(Refusal):
    """The caller is known and has not the scope that the route asks for (A5)."""
