"""The list of requests: a search, how many requests each filter would show, and repeated empty claims as one row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType

from codeq_fake import payloads
from codeq_fake.control import representations
from codeq_fake.control.argument_readers import statuses
from codeq_fake.core.slices import Slices, batches
from codeq_fake.http.operations import CLAIMS
from codeq_fake.journal import Journal, Request
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.surprises.history import commands_asked_for

from .data import Sheet, sheet

#: The filters by name, as the page calls them.
FILTERS: Mapping[str, str] = MappingProxyType(
    {"refused": "Refused", "struck": "Struck by a fault", "empty": "Empty claims"}
)

#: A status, or a class of them such as `4xx`.
_STATUS = re.compile(r"[1-5](\d\d|xx)", re.ASCII)
_ALL = range(1000)
_NO_CONTENT = 204
_ERROR = 400
#: So many of the latest requests are looked at for those that the overview shows.
_MOST_FOLDED = 500


@dataclass(frozen=True, slots=True)
class Search:
    """A search for requests; an empty field matches all. `status` is a number, or a class of them such as `4xx`."""

    text: str = ""
    status: str = ""
    only: str = ""
    _statuses: range = field(init=False)

    def __post_init__(self) -> None:
        is_given = _STATUS.fullmatch(self.status) is not None
        object.__setattr__(self, "_statuses", statuses(self.status, "status") if is_given else _ALL)

    @property
    def fields(self) -> Mapping[str, str]:
        """The fields of the query that asks for it."""
        return {"q": self.text, "status": self.status, "only": self.only}

    @property
    def problem(self) -> str:
        """What is wrong with it; then the status matches all."""
        is_possible = not self.status or self._statuses is not _ALL
        return "" if is_possible else f"{self.status!r} is no status. Write one such as 404, or 4xx."

    def finds(self, entry: Request) -> bool:
        """Whether a request matches, whatever `only` is."""
        in_bytes = self.text.encode()
        return entry.status in self._statuses and (
            not self.text or self.text in entry.path or in_bytes in entry.body or in_bytes in entry.reply
        )


@dataclass(slots=True)
class Run:
    """A request, or `count` empty claims of one caller, which all found nothing for the same reason.

    `latest` and `first` are the same for a single request.
    """

    latest: Request
    first: Request
    count: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list. `task` is the first of the tasks that the request touched.

    `id` and `since` (ns) are those of a run's first request, which stays the same while the run grows.
    """

    request: payloads.Request
    id: int
    command: str
    task: str
    more_tasks: int
    took: int
    count: int
    since: int

    @classmethod
    def of(cls, run: Run) -> Row:
        """The row of a request, or of several."""
        entry = run.latest
        return cls(
            request=representations.request(entry),
            id=run.first.n,
            command=_command(entry),
            task=entry.tasks[0].id if entry.tasks else "",
            more_tasks=max(0, len(entry.tasks) - 1),
            took=entry.took,
            count=run.count,
            since=run.first.at,
        )


@dataclass(frozen=True, slots=True)
class RequestList:
    """One sheet of the requests that match, how many requests each filter would show, and how many there are of all."""

    sheet: Sheet[Row]
    counts: Mapping[str, int]
    total: int
    is_folded: bool


def find(runtime: FakeServer, search: Search, number: int, *, size: int) -> Slices[RequestList]:
    """Sheet `number` of the requests that match, the latest first."""
    counts: Counter[str] = Counter()
    matching: list[Request] = []
    total = 0
    for batch in batches(list(reversed(runtime.requests.entries))):
        for entry in filter(search.finds, batch):
            filters = _filters_of(entry)
            counts.update(filters)
            total += 1
            if not search.only or search.only in filters:
                matching.append(entry)
        yield
    # Who looks for empty claims wants to see each.
    runs = list(folded(matching) if search.only != "empty" else map(_alone, matching))
    part = sheet(runs, number, size=size, total=len(runs))
    rows = Sheet([Row.of(run) for run in part.items], number, len(runs), size)
    return RequestList(rows, counts, total, is_folded=len(runs) < len(matching))


def folded(entries: Iterable[Request]) -> Iterator[Run]:
    """The requests as runs, the latest first.

    Of the empty claims between two other requests, those of one caller with one reason are one run.
    """
    empty: dict[tuple[str, str], Run] = {}
    for entry in entries:
        if not _is_empty_claim(entry):
            yield from empty.values()
            empty.clear()
            yield _alone(entry)
        elif (run := empty.get((entry.caller, entry.reason))) is None:
            empty[entry.caller, entry.reason] = _alone(entry)
        else:
            run.first = entry
            run.count += 1
    yield from empty.values()


def latest(journal: Journal[Request], *, most: int) -> list[Row]:
    """The rows of the latest requests."""
    recent = islice(reversed(journal.entries), _MOST_FOLDED)
    return [Row.of(run) for run in islice(folded(recent), most)]


def _alone(entry: Request) -> Run:
    return Run(entry, entry)


def _is_empty_claim(entry: Request) -> bool:
    return entry.status == _NO_CONTENT and entry.operation in CLAIMS and not entry.faults


def _filters_of(entry: Request) -> list[str]:
    return [
        name
        for name, applies in (
            ("refused", entry.status >= _ERROR),
            ("struck", bool(entry.faults)),
            ("empty", _is_empty_claim(entry)),
        )
        if applies
    ]


def _command(entry: Request) -> str:
    """The command of the tasks that a request touched, or those that a claim asked for."""
    if entry.tasks:
        return ", ".join(dict.fromkeys(task.command for task in entry.tasks))
    return ", ".join(commands_asked_for(entry)) if entry.operation in CLAIMS else ""
