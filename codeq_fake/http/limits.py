"""Limits of requests: how large they may be, how long they may wait, and how often one that waits tries again."""

from __future__ import annotations

from codeq_fake.core.times import MILLISECOND

#: The most items of a batch of tasks or results (C9, S6), and the most tasks that a batch claims (K10).
LARGEST_BATCH = 100
MOST_CLAIMED = 10

#: How long a claim waits at most, in seconds (K2), and the time between two of its attempts, in ns (K9).
LONGEST_CLAIM_WAIT = 30
CLAIM_INTERVAL = 250 * MILLISECOND

#: How long the read of a result waits at most, in seconds, and the time between two of its attempts, in ns (G1).
LONGEST_RESULT_WAIT = 60
RESULT_INTERVAL = 100 * MILLISECOND

# The real server has no such limits. Ours protect the memory of this process, and keep each attempt to claim, and the
# storage of results, short.

#: The largest body of a request, in bytes.
LARGEST_BODY = 64 * 1024 * 1024
#: The most commands of a claim or a subscription.
MOST_COMMANDS = 10_000
#: The most artifacts of a request.
MOST_ARTIFACTS = 250

#: The largest body of a topic's policy, in bytes. The real server reads 64 times as much; ours is read in one go, and
#: may hold up no other request. A policy has some hundred bytes.
LARGEST_POLICY = 16 * 1024
