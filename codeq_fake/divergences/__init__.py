"""Divergences: statements of CodeQ's documents that are not true for the real server, but that a client relies on.

Each is reported once, when a request shows it. What no request shows is not reported, for example that a client waits
for a failed task to be retried.
"""

from __future__ import annotations

from .watch import CodeQSurprise, Surprise, Watch
