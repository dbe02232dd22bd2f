"""The digest of a jump of the clock: what fell due on the way."""

from __future__ import annotations

from codeq_fake import payloads
from codeq_fake.core import Broker
from codeq_fake.core.durations import in_words
from codeq_fake.core.slices import Slices, batches
from codeq_fake.journal import Callback, Journal


def due_between(broker: Broker, since: int, until: int) -> Slices[payloads.Happened]:
    """The leases and delays that end after `since` and until `until` (ns), if nothing but time passes."""
    end_of_lease = broker.profile.store.lease_expired_from
    leases = delays = 0
    for queue in list(broker.store.queues.values()):
        for tasks in batches(list(queue.in_progress.values())):
            leases += sum(since < end_of_lease(task.lease_expiry) <= until for task in tasks)
            yield
        for tasks in batches(list(queue.delayed.values())):
            delays += sum(since < task.visible_at <= until for task in tasks)
            yield
    return {"leasesOver": leases, "delaysDue": delays, "callbacksTried": 0}


def tries_after(journal: Journal[Callback], since: int) -> Slices[int]:
    """How many tries of callbacks and notices the journal has after `since` (ns)."""
    count = 0
    for entries in batches(list(journal.entries)):
        count += sum(tried.at > since for entry in entries for tried in entry.tries)
        yield
    return count


def text(passed: int, happened: payloads.Happened) -> str:
    """The digest in words, after `passed` (ns): `+1 h: 2 leases over, 41 delays due, 1 callback tried`."""
    counts = (
        (happened["leasesOver"], "lease", "over"),
        (happened["delaysDue"], "delay", "due"),
        (happened["callbacksTried"], "callback", "tried"),
    )
    parts = [f"{count:,} {noun}{'' if count == 1 else 's'} {what}" for count, noun, what in counts if count]
    return f"+{in_words(passed)}: {', '.join(parts) or 'nothing was due'}"
