"""Limits of the control API: how large its calls may be, and how much one call shows or leaves behind."""

from __future__ import annotations

#: The largest body of a call that takes a state, and of the others: they read theirs in one go (bytes).
LARGEST_STATE = 256 * 1024 * 1024
LARGEST_CALL = 256 * 1024

#: The most tasks that one list shows.
MOST_LISTED_TASKS = 1000

#: How many fault rules a call may leave active: each is looked at for each request.
MOST_FAULT_RULES = 1000

#: The longest id (characters) that `next` takes.
LONGEST_ID = 1000
