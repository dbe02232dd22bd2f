"""Surprises: a client relies on a statement of CodeQ's documents that is not true for the real server.

Each divergence between documents and server is reported once, as a `Surprise`, when a request shows it. What no request
shows is not reported, for example that a client waits for a failed task to be retried. The suite's deviations are
clauses that a target breaks, and a replay's differences are replies unlike the recorded ones.
"""

from __future__ import annotations

from .watch import CodeQSurprise, Surprise, Watch
