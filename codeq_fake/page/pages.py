"""The HTML views, one function each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from starlette.responses import Response, StreamingResponse

from codeq_fake.clause_coverage.coverage import sections
from codeq_fake.clocks import in_slices
from codeq_fake.control import json_blocks, representations
from codeq_fake.control.generated_tests import as_pytest
from codeq_fake.control.workers import latest_claims
from codeq_fake.core.claimability import position
from codeq_fake.faults.recipes import REQUESTS
from codeq_fake.faults.rule import KINDS, WAYS
from codeq_fake.journal import Callback, callbacks_about, requests_about
from codeq_fake.runtime.fake_server import FakeServer

from . import data, depth, lane, request_list, story, task_list
from .actions import NewTask, show_form
from .curl import as_curl, first_task
from .fault_forms import KindForm, recipe_forms
from .limits import ENTRIES_OF_OVERVIEW, ENTRIES_OF_SHEET
from .visit import Visit


async def overview(visit: Visit) -> Response:
    """The queues, the tasks in progress, delayed and dead, and the latest requests."""
    runtime = visit.runtime
    return visit.show(
        "overview.html",
        fake=await in_slices(data.overview(runtime, most=ENTRIES_OF_OVERVIEW)),
        latest=request_list.latest(runtime.requests, most=ENTRIES_OF_OVERVIEW),
        first_task=first_task(_origin(visit), runtime.tokens.producer),
    )


async def tasks(visit: Visit) -> Response:
    """A list of the tasks that match."""
    search = task_list.Search(
        visit.text("q").strip(), visit.text("state"), visit.text("command"), visit.text("tenant"), visit.text("sort")
    )
    found = await in_slices(task_list.find(visit.runtime, search, _sheet(visit), size=ENTRIES_OF_SHEET))
    return visit.show(
        "tasks.html",
        search=search,
        found=found,
        names=task_list.FILTERS,
        orders=tuple(task_list.ORDERS),
        suggested=task_list.suggestions(visit.runtime.broker),
    )


async def task(visit: Visit) -> Response:
    """One task: its story, whether it can be claimed, payload, result and callbacks."""
    runtime, task_id = visit.runtime, visit.text("id")
    requests = await in_slices(requests_about(runtime.requests, task_id))
    callbacks = callbacks_about(runtime.deliveries.journal, task_id)
    task_json = visit.controls.task(task_id)
    task = runtime.broker.get(task_id)
    place = position(runtime.broker, task)
    lines = story.of_task(task, requests, callbacks)
    return visit.show(
        "task.html",
        task=task_json,
        row=data.TaskRow.of(task, runtime.broker),
        story=lines,
        lane=lane.of_task(task, lines, now=runtime.clock.now()),
        position=place,
        claims=latest_claims(runtime) if place is not None else (),
        result=task.record.result if task.record is not None else None,
        callbacks=[representations.callback(entry) for entry in reversed(callbacks[-ENTRIES_OF_OVERVIEW:])],
        next_tries=data.next_tries(runtime),
    )


async def task_as_json(visit: Visit) -> Response:
    """One task with its history, its requests and its callbacks, as a file."""
    whole = await visit.controls.story_in_slices(visit.text("id"))
    return _file(json_blocks.response(await in_slices(json_blocks.encoded(whole))), "codeq-fake-task.json")


def deletion(visit: Visit) -> Response:
    """The confirmation before a task is deleted."""
    return visit.show("delete.html", task=visit.controls.task(visit.text("id")))


def creation(visit: Visit) -> Response:
    """The form for a new task."""
    return show_form(visit, NewTask(tenant=visit.runtime.producers_tenant() or ""))


async def workers(visit: Visit) -> Response:
    """Each worker: what it claims, what it got or why it got nothing."""
    return visit.show("workers.html", workers=(await visit.controls.workers_in_slices())[:ENTRIES_OF_SHEET])


def callbacks(visit: Visit) -> Response:
    """Callbacks and notices with their tries, newest first."""
    journal = visit.runtime.deliveries.journal
    state = visit.text("state")
    matches = (entry for entry in reversed(journal.entries) if not state or entry.state == state)
    sheet: data.Sheet[Callback] = data.sheet(matches, _sheet(visit), size=ENTRIES_OF_SHEET)
    return visit.show(
        "callbacks.html",
        sheet=sheet,
        callbacks=[representations.callback(entry) for entry in sheet.items],
        next_tries=data.next_tries(visit.runtime),
        state=state,
    )


def callback(visit: Visit) -> Response:
    """One callback or notice: its tries over time, its headers and its body."""
    number = visit.number("n")
    entry = visit.runtime.deliveries.journal.find(number)
    if entry is None:
        return visit.refuse(404, f"The journal has no callback {number}, or no longer.")
    return visit.show(
        "callback.html",
        callback=representations.callback(entry),
        first_try=entry.first_try,
        next_try=data.next_tries(visit.runtime).get(number),
        lane=lane.of_callback(entry, now=visit.runtime.clock.now()),
    )


async def requests(visit: Visit) -> Response:
    """Requests with their replies, newest first."""
    search = request_list.Search(visit.text("q").strip(), visit.text("status").strip().lower(), visit.text("only"))
    found = await in_slices(request_list.find(visit.runtime, search, _sheet(visit), size=ENTRIES_OF_SHEET))
    return visit.show("requests.html", search=search, found=found, names=request_list.FILTERS)


def request(visit: Visit) -> Response:
    """One request with its reply."""
    number = visit.number("n")
    entry = visit.runtime.requests.find(number)
    if entry is None:
        return visit.refuse(404, f"The journal has no request {number}, or no longer.")
    about = [task.id for task in entry.tasks if task.id in visit.runtime.broker.store.tasks]
    fields = representations.request(entry)
    return visit.show(
        "request.html",
        request=fields,
        about=about[:ENTRIES_OF_OVERVIEW],
        took=entry.took,
        has_unread_body=not entry.body and _has_body(fields["headers"]),
        curl=as_curl(fields, _origin(visit)),
        pytest=as_pytest(visit.runtime, entry),
    )


def _has_body(headers: Mapping[str, str]) -> bool:
    """Whether a request with these headers has a body."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def faults(visit: Visit) -> Response:
    """The active faults, the recipes for new ones, and the form for any rule of one kind."""
    kind = visit.text("do")
    active = visit.runtime.fault_plan.active.values()
    return visit.show(
        "faults.html",
        faults=visit.controls.faults.active()["faults"],
        used_up={fault.number for fault in active if fault.is_used_up},
        abouts={name: kind.about for name, kind in KINDS.items()},
        recipes=recipe_forms(),
        requests=tuple(REQUESTS),
        kind=KindForm.of(kind) if kind in KINDS else None,
        ways=WAYS,
        workers=[
            worker["worker"]
            for worker in (await visit.controls.workers_in_slices())[:ENTRIES_OF_OVERVIEW]
            if worker["worker"]
        ],
    )


async def depth_over_time(visit: Visit) -> Response:
    """How many tasks were ready, delayed, in progress and dead, over the fake's time."""
    return visit.show("depth.html", depth=await in_slices(depth.of_fake(visit.runtime, most=ENTRIES_OF_OVERVIEW)))


async def contract(visit: Visit) -> Response:
    """The clauses of the contract, and how often this fake's traffic touched each."""
    coverage = visit.controls.contract()
    entries: dict[str, dict[str, Any]] = {clause["id"]: clause for clause in coverage["clauses"]}
    by_section = [
        (section.about, present)
        for section in sections()
        if (present := [entries[clause.id] for clause in section.clauses if clause.id in entries])
    ]
    return visit.show(
        "contract.html",
        surprises=await visit.controls.surprises_in_slices(),
        sections=by_section,
        summary=coverage["summary"],
        server=coverage["version"],
    )


def api(visit: Visit) -> Response:
    """The OpenAPI document for people."""
    return visit.show("api.html", document=visit.controls.openapi())


def state(visit: Visit) -> Response:
    """The page to download, upload and reset the state."""
    return visit.show("state.html", file=visit.runtime.config.state_file, tasks=len(visit.runtime.broker.store.tasks))


async def download(visit: Visit) -> Response:
    """The whole state as a file."""
    name = f"codeq-fake-{visit.controls.clock()['now'].replace(':', '')}.json"
    return _file(json_blocks.response(await visit.controls.state_text()), name)


def _file(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def resetting(visit: Visit) -> Response:
    """The confirmation before a reset."""
    return visit.show("reset.html", tasks=len(visit.runtime.broker.store.tasks))


def events(visit: Visit) -> Response:
    """A stream of server-sent events: one for each change."""
    if visit.request.method == "HEAD":  # the next request of the connection waits for the end
        return Response(media_type="text/event-stream")
    return StreamingResponse(_changes(visit.runtime), media_type="text/event-stream")


async def _changes(runtime: FakeServer) -> AsyncIterator[bytes]:
    """An event after each change, and now and then one without a change."""
    yield b"retry: 300\n\n"  # a reset ends the stream
    async for _ in runtime.live_updates.watch(partial(_state_of, runtime)):
        yield b"data: look\n\n"


def _state_of(runtime: FakeServer) -> object:
    """A value that is another one after each change of what the page shows."""
    mode, broker = runtime.clock.mode, runtime.broker
    journals = (runtime.requests.count, runtime.deliveries.journal.count)
    counts = (*journals, len(broker.store.tasks), len(runtime.fault_plan.active), runtime.waiters.parked)
    return id(broker), mode, mode == "manual" and runtime.clock.now(), counts


def nowhere(visit: Visit) -> Response:
    """The reply for an unknown path."""
    return visit.refuse(404, f"There is no {visit.request.url.path} here.")


def _origin(visit: Visit) -> str:
    """The address of the server as the browser knows it."""
    return f"{visit.request.url.scheme}://{visit.request.url.netloc}"


def _sheet(visit: Visit) -> int:
    return max(1, visit.number("sheet", 1))


PAGES: Mapping[str, Callable[[Visit], Response | Awaitable[Response]]] = MappingProxyType(
    {
        "/_fake/": overview,
        "/_fake/api": api,
        "/_fake/page/tasks": tasks,
        "/_fake/page/task": task,
        "/_fake/page/task.json": task_as_json,
        "/_fake/page/task/delete": deletion,
        "/_fake/page/create": creation,
        "/_fake/page/workers": workers,
        "/_fake/page/callbacks": callbacks,
        "/_fake/page/callback": callback,
        "/_fake/page/requests": requests,
        "/_fake/page/request": request,
        "/_fake/page/depth": depth_over_time,
        "/_fake/page/faults": faults,
        "/_fake/page/ledger": contract,
        "/_fake/page/state": state,
        "/_fake/page/state.json": download,
        "/_fake/page/reset": resetting,
        "/_fake/page/events": events,
    }
)
