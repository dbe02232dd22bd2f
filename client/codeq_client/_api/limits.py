"""Limits of requests: those of the server, which the client keeps, and those of the client."""

from __future__ import annotations

MAX_BATCH = 100  # C9, S6
MAX_CLAIM_BATCH = 10  # K10
MAX_WAIT_SECONDS = 30  # K2
MAX_RESULT_WAIT_SECONDS = 60  # G1

MAX_CONNECTIONS = 100
"""The most requests of a client at a time. Others wait for a connection."""

MAX_LONG_POLLS = 25
"""How many of a client's connections may be held by long polls at a time. Further waits read the task at intervals."""

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""The largest reply that a client reads."""
