"""What a person sees on the page: one function a document."""

from __future__ import annotations

import json
from itertools import islice, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from codeq_fake.auth import Forbidden, KeysNeeded, Tokens, Unauthenticated
from codeq_fake.clause_coverage.coverage import sections
from codeq_fake.control import representations
from codeq_fake.faults.rule import CALLBACK, KINDS, NOTICE, WAYS
from codeq_fake.http.faults.matching import NAMES
from codeq_fake.openapi import document

from . import data
from .actions import NewTask, ask_for_a_task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from codeq_fake.journal import Callback, Request
    from codeq_fake.runtime.fake_server import Runtime

    from .visit import Visit

#: How many entries a long list shows at once, and the overview of each part.
_SHEET = 50
_GLANCE = 12


async def overview(visit: Visit) -> Response:
    """The queues, what is in progress, delayed and dead, and the latest requests."""
    runtime = visit.runtime
    return visit.show(
        "overview.html",
        fake=data.overview(runtime, most=_GLANCE),
        latest=[representations.request(entry) for entry in islice(reversed(runtime.requests.entries), _GLANCE)],
    )


async def tasks(visit: Visit) -> Response:
    """The tasks that are asked for."""
    search = data.Search(visit.text("q").strip(), visit.text("state"), visit.text("command"), visit.text("tenant"))
    return visit.show("tasks.html", search=search, sheet=data.tasks(visit.runtime, search, _sheet(visit), size=_SHEET))


async def task(visit: Visit) -> Response:
    """One task: its life, why it can be claimed or not, what it carries, and its callbacks."""
    task_id = visit.text("id")
    shown = visit.controls.task(task_id)
    found = visit.runtime.broker.get(task_id)
    entries = (entry for entry in reversed(visit.runtime.deliveries.journal.entries) if entry.task_id == task_id)
    return visit.show(
        "task.html",
        task=shown,
        line=data.Line.of(found, visit.runtime.broker),
        gaps=[later.at - earlier.at for earlier, later in pairwise(found.history)],
        result=found.record.result if found.record is not None else None,
        callbacks=[representations.callback(entry) for entry in islice(entries, _GLANCE)],
        next_tries=data.next_tries(visit.runtime),
    )


async def deletion(visit: Visit) -> Response:
    """Whether a task shall really be deleted."""
    return visit.show("delete.html", task=visit.controls.task(visit.text("id")))


async def creation(visit: Visit) -> Response:
    """The form by which a task is created."""
    return ask_for_a_task(visit, NewTask(tenant=_usual_tenant(visit.runtime)))


async def callbacks(visit: Visit) -> Response:
    """Callbacks and notices with their tries, the latest first."""
    journal = visit.runtime.deliveries.journal
    state = visit.text("state")
    found = (entry for entry in reversed(journal.entries) if not state or entry.state == state)
    shown: data.Sheet[Callback] = data.sheet(found, _sheet(visit), size=_SHEET)
    return visit.show(
        "callbacks.html",
        sheet=shown,
        callbacks=[representations.callback(entry) for entry in shown.items],
        next_tries=data.next_tries(visit.runtime),
        state=state,
    )


async def requests(visit: Visit) -> Response:
    """Requests with their replies, the latest first."""
    text, status = visit.text("q").strip(), visit.number("status")

    def finds(entry: Request) -> bool:
        in_bytes = text.encode()
        has_text = text in entry.path or in_bytes in entry.body or in_bytes in entry.reply
        return (not text or has_text) and (not status or entry.status == status)

    found = filter(finds, reversed(visit.runtime.requests.entries))
    shown: data.Sheet[Request] = data.sheet(found, _sheet(visit), size=_SHEET)
    return visit.show(
        "requests.html",
        sheet=shown,
        requests=[representations.request(entry) for entry in shown.items],
        q=text,
        only=status or "",
    )


async def request(visit: Visit) -> Response:
    """One request with its reply."""
    number = visit.number("n")
    entry = visit.runtime.requests.find(number)
    if entry is None:
        return visit.refuse(404, f"The journal has no request {number}, or none any more.")
    about = data.told_of(entry, visit.runtime.broker.store.tasks)
    return visit.show("request.html", request=representations.request(entry), about=about[:_GLANCE])


async def faults(visit: Visit) -> Response:
    """The faults that are set."""
    return visit.show(
        "faults.html",
        faults=visit.controls.faults.active()["faults"],
        kinds=tuple(KINDS),
        occasions=(*(name for name in NAMES if " " not in name), CALLBACK, NOTICE),
        ways=WAYS,
    )


async def ledger(visit: Visit) -> Response:
    """The contract clause by clause, and what this fake's traffic has touched of it."""
    known = visit.controls.contract()
    entries: dict[str, dict[str, Any]] = {clause["id"]: clause for clause in known["clauses"]}
    by_section = [(section.about, [entries[clause.id] for clause in section.clauses]) for section in sections()]
    return visit.show(
        "ledger.html",
        surprises=visit.controls.surprises(),
        sections=by_section,
        summary=known["summary"],
        server=known["version"],
    )


async def api(visit: Visit) -> Response:
    """The OpenAPI document, to be read."""
    return visit.show("api.html", document=document())


async def state(visit: Visit) -> Response:
    """Where the state is downloaded, uploaded and thrown away."""
    return visit.show("state.html", file=visit.runtime.config.state_file, tasks=len(visit.runtime.broker.store.tasks))


async def download(visit: Visit) -> Response:
    """The whole state as a file."""
    name = f"codeq-fake-{visit.controls.clock()['now'].replace(':', '')}.json"
    return Response(
        json.dumps(visit.controls.state()),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def resetting(visit: Visit) -> Response:
    """Whether everything shall really be thrown away."""
    return visit.show("reset.html", tasks=len(visit.runtime.broker.store.tasks))


async def events(visit: Visit) -> Response:
    """A stream of server-sent events: one whenever there is something new to see."""
    runtime = visit.runtime

    def look() -> object:
        mode, broker = runtime.clock.mode, runtime.broker
        journals = (runtime.requests.count, runtime.deliveries.journal.count)
        counts = (*journals, len(broker.store.tasks), len(runtime.fault_plan.active), runtime.waiters.parked)
        return id(broker), mode, mode == "manual" and runtime.clock.now(), counts

    async def stream() -> AsyncIterator[bytes]:
        yield b"retry: 300\n\n"  # a reset ends the stream
        async for _ in runtime.live_updates.watch(look):
            yield b"data: look\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def nowhere(visit: Visit) -> Response:
    """There is no such document."""
    return visit.refuse(404, f"There is no {visit.request.url.path} here.")


def _sheet(visit: Visit) -> int:
    return max(1, visit.number("sheet", 1))


def _usual_tenant(runtime: Runtime) -> str:
    """The tenant of the token that the fake tells whoever starts it."""
    token = Tokens.of(runtime.config.settings, runtime.config.identities).producer
    try:
        return runtime.auth.producer(f"Bearer {token}", now=runtime.clock.now()).tenant
    except (Unauthenticated, Forbidden, KeysNeeded):
        return ""


PAGES: Mapping[str, Callable[[Visit], Awaitable[Response]]] = MappingProxyType(
    {
        "/_fake/": overview,
        "/_fake/api": api,
        "/_fake/page/tasks": tasks,
        "/_fake/page/task": task,
        "/_fake/page/task/delete": deletion,
        "/_fake/page/create": creation,
        "/_fake/page/callbacks": callbacks,
        "/_fake/page/requests": requests,
        "/_fake/page/request": request,
        "/_fake/page/faults": faults,
        "/_fake/page/ledger": ledger,
        "/_fake/page/state": state,
        "/_fake/page/state.json": download,
        "/_fake/page/reset": resetting,
        "/_fake/page/events": events,
    }
)
