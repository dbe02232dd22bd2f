"""The control calls for the journals: requests, callbacks and surprises, and to send a callback again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any, cast

from codeq_fake import payloads
from codeq_fake.clocks import in_slices
from codeq_fake.core import errors, manual_operations
from codeq_fake.core.effects import NoticeDue
from codeq_fake.journal import Callback, EntryT, Journal, Request
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.surprises import Surprise

from . import representations
from .errors import ConflictError, UnknownCallbackError, UnknownRequestError
from .generated_tests import as_pytest


class JournalControls:
    """The part of `Controls` for the journals."""

    _runtime: FakeServer

    def requests(self) -> list[payloads.Request]:
        """The journal of requests."""
        return list(self.request_journal()["requests"])

    def callbacks(self) -> list[payloads.Callback]:
        """The journal of callbacks and notices."""
        return list(self.callback_journal()["callbacks"])

    def request_journal(
        self, *, since: int = 0, path: str = "", status: Collection[int] = (), last: int | None = None
    ) -> dict[str, Any]:
        """The requests after number `since`, as an iterator, and how many of them were dropped, if any were.

        `path` matches a part of the path, `status` are the statuses to list, by default all. Of the requests that match
        the `last` ones are listed.
        """
        journal = self._runtime.requests
        entries = [
            entry for entry in journal.since(since) if path in entry.path and (not status or entry.status in status)
        ]
        return {"requests": map(representations.request, _last(entries, last)), **_dropped(journal, since)}

    def request(self, n: int) -> payloads.Request:
        """One request of the journal. Raises UnknownRequestError."""
        return representations.request(self._find_request(n))

    def request_as_pytest(self, n: int) -> dict[str, str]:
        """A request as a test that recreates it and the state before it.

        Raises UnknownRequestError, or ConflictError for a request that no test can recreate.
        """
        test = as_pytest(self._runtime, self._find_request(n))
        if not test:
            raise ConflictError(f"no test can recreate request {n}: a fault struck it, or a body is very long or deep")
        return {"pytest": test}

    def _find_request(self, n: int) -> Request:
        entry = self._runtime.requests.find(n)
        if entry is None:
            raise UnknownRequestError(f"the journal has no request {n}, or no longer")
        return entry

    def callback_journal(self, *, since: int = 0, last: int | None = None) -> dict[str, Any]:
        """The `last` callbacks and notices after number `since`, as an iterator, and how many were dropped, if any."""
        journal = self._runtime.deliveries.journal
        entries = _last(journal.since(since), last)
        return {"callbacks": map(representations.callback, entries), **_dropped(journal, since)}

    async def resend(self, n: int) -> dict[str, Any]:
        """Send a callback or notice of the journal again, and return its new entry when everything due is done.

        A callback is made from the current result of its task and has all its attempts again. If the rate limit of the
        webhook delays it, `callback` is None. Raises UnknownCallbackError, or ConflictError if the task or its result
        no longer exists.
        """
        runtime = self._runtime
        journal = runtime.deliveries.journal
        entry, before = journal.find(n), journal.count
        if entry is None:
            raise UnknownCallbackError(f"the journal has no callback {n}")
        if entry.kind == "queue_ready":
            await runtime.notify(NoticeDue(entry.subscription_id, entry.url, entry.command))
        else:
            self._resend_callback(entry.task_id)
            await runtime.carry_out_effects()
        await runtime.advance()
        again = [one for one in journal.since(before) if _is_same(one, entry)]
        return {"callback": representations.callback(again[-1]) if again else None}

    def _resend_callback(self, task_id: str) -> None:
        try:
            manual_operations.resend_callback(self._runtime.broker, task_id, now=self._runtime.clock.now())
        except errors.TaskNotFound:
            raise ConflictError(f"task {task_id} is gone: there is nothing left to send") from None
        except errors.ResultNotFound:
            raise ConflictError(f"task {task_id} has no result any more: there is nothing left to send") from None

    def surprises(self) -> list[payloads.Surprise]:
        """Requests that expect what CodeQ's documents say and the server does not do."""
        return list(map(_surprise, self._runtime.surprises.so_far()))

    async def surprises_in_slices(self) -> list[payloads.Surprise]:
        """As `surprises`. Other requests are answered meanwhile."""
        return list(map(_surprise, await in_slices(self._runtime.surprises.so_far_in_slices())))


def _last(entries: list[EntryT], last: int | None) -> list[EntryT]:
    """The last entries, by default all."""
    return entries if last is None else entries[max(0, len(entries) - last) :]


def _is_same(one: Callback, other: Callback) -> bool:
    """Whether two entries are about the same thing. Others may be new because they came due meanwhile."""
    return (one.kind, one.url, one.task_id, one.subscription_id) == (
        other.kind,
        other.url,
        other.task_id,
        other.subscription_id,
    )


def _surprise(shown: Surprise) -> payloads.Surprise:
    return cast("payloads.Surprise", asdict(shown))


def _dropped(journal: Journal[Any], since: int) -> dict[str, int]:
    dropped = journal.dropped(since)
    return {"dropped": dropped} if dropped else {}
