"""The old place of `codeq_fake.testing.CodeQSurprise`, kept for warning filters that name it."""

from __future__ import annotations

from codeq_fake.divergences import CodeQSurprise

__all__ = ["CodeQSurprise"]
