"""What a person does on the page: each act is a posted form, and leads back to a document that says what came of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from codeq_fake.control import BadRequestError
from codeq_fake.control.arguments import duration, instant, json_object, whole
from codeq_fake.core import BUILT_IN_COMMANDS
from codeq_fake.core.errors import Refused
from codeq_fake.http.rejections import status_and_text

from .formatting import counted, query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.responses import Response

    from codeq_fake.core import Task

    from .visit import Form, Visit

_MOST_COMMANDS = 50
_UNITS = MappingProxyType({"s": 1, "min": 60, "h": 3600, "d": 86_400})


@dataclass(frozen=True, slots=True)
class NewTask:
    """The fields of the form by which a task is created, as they are typed."""

    command: str = "GENERATE_MASTER"
    payload: str = "{}"
    tenant: str = ""
    priority: str = "0"
    delay: str = ""
    max_attempts: str = ""
    webhook: str = ""

    @classmethod
    def of(cls, form: Form) -> NewTask:
        """What was typed."""
        return cls(**{name: form.text(name) for name in cls.__slots__})


async def advance(visit: Visit) -> Response:
    """Move the clock on, by a preset, by an amount of a unit, or to an instant."""
    form = await visit.form()
    to, seconds = form.text("to"), form.text("seconds")
    if to:
        moved = await visit.controls.advance(to=instant(to))
    else:
        unit = 1 if seconds else _UNITS.get(form.text("unit"), 1)
        moved = await visit.controls.advance(by=duration(_number(seconds or form.text("amount")) * unit))
    return visit.back(f"The clock has moved on to {moved['now']}.")


def _number(text: str) -> Decimal:
    with suppress(InvalidOperation):
        number = Decimal(text)
        if number.is_finite():
            return number
    raise BadRequestError("by how much shall the clock move on? Give a number, such as 90 or 0.5")


async def set_mode(visit: Visit) -> Response:
    """Freeze the clock or let it run."""
    mode = (await visit.form()).text("mode")
    if mode not in ("real", "manual"):
        raise BadRequestError("the clock is real or manual")
    clock = await visit.controls.set_clock(mode="real" if mode == "real" else "manual")
    return visit.back(
        f"The clock runs from {clock['now']} on." if mode == "real" else f"The clock stands at {clock['now']}."
    )


def ask_for_a_task(visit: Visit, typed: NewTask, problem: str = "") -> Response:
    """The form by which a task is created, with what was typed and why it would not do."""
    known = islice(dict.fromkeys([*BUILT_IN_COMMANDS, *visit.runtime.broker.counters.created]), _MOST_COMMANDS)
    return visit.show("create.html", 400 if problem else 200, typed=typed, problem=problem, commands=list(known))


async def create(visit: Visit) -> Response:
    """Create a task; what cannot be created comes back as it was typed, with the reason."""
    typed = NewTask.of(await visit.form())
    try:
        task = _created(visit, typed)
    except BadRequestError as error:
        return ask_for_a_task(visit, typed, str(error))
    except Refused as error:
        return ask_for_a_task(visit, typed, status_and_text(error, "create")[1])
    await visit.runtime.carry_out()
    return visit.go(query("/_fake/page/task", id=task.id), "The task is created.")


def _created(visit: Visit, typed: NewTask) -> Task:
    return visit.controls.create(
        typed.command,
        typed.payload,
        tenant=typed.tenant,
        priority=whole(typed.priority or "0", "priority"),
        webhook=typed.webhook.strip(),
        max_attempts=whole(typed.max_attempts or "0", "attempts"),
        delay_seconds=whole(typed.delay or "0", "delay"),
    )


async def expire(visit: Visit) -> Response:
    """End a task's lease."""
    form = await visit.form()
    visit.controls.expire(form.text("id"))
    return visit.back("The lease is over: the next claim requeues the task.")


async def requeue(visit: Visit) -> Response:
    """Put a task at the tail of its pending list."""
    form = await visit.form()
    visit.controls.requeue(form.text("id"))
    return visit.back("The task is ready again, at the tail of its queue.")


async def delete(visit: Visit) -> Response:
    """Delete a task."""
    form = await visit.form()
    gone = visit.controls.delete(form.text("id"))
    return visit.go("/_fake/page/tasks", f"Task {gone['id']} is deleted.")


async def resend(visit: Visit) -> Response:
    """Send a callback or a notice anew."""
    form = await visit.form()
    again = (await visit.controls.resend(whole(form.text("n"), "callback")))["callback"]
    if again is None:
        return visit.back("The webhook's rate limit holds it back: it is sent when time has passed.")
    return visit.back(f"Sent anew as number {again['n']}: {again['state']}.")


async def add_fault(visit: Visit) -> Response:
    """Put a fault rule in force."""
    form = await visit.form()
    rule: dict[str, Any] = {}
    for names, read in _RULE:
        rule |= {name: read(form.text(name), name) for name in names if form.text(name)}
    [fault] = visit.controls.faults.add(rule)["faults"]
    return visit.back(f"Fault {fault['id']} is in force: {fault['do']}.")


def _text(text: str, _name: str) -> str:
    return text


def _decimal(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRequestError(f"{name}: found {text!r} where a number belongs") from None


def _headers(text: str, name: str) -> dict[str, str]:
    found = [line.partition(":") for line in text.splitlines() if line.strip()]
    if wrong := next((line for line, colon, _ in found if not colon), None):
        raise BadRequestError(f"{name}: found {wrong!r} where a line such as Server: nginx belongs")
    return {header.strip(): value.strip() for header, _, value in found}


#: How the fields of a fault rule are read off their form.
_RULE: Sequence[tuple[Sequence[str], Callable[[str, str], Any]]] = (
    (("do", "on", "worker", "command", "task", "how", "body"), _text),
    (("nth", "times", "seed", "status", "retryAfter"), whole),
    (("probability", "seconds"), _decimal),
    (("headers",), _headers),
)


async def remove_fault(visit: Visit) -> Response:
    """Take a fault rule out of force."""
    form = await visit.form()
    fault = visit.controls.faults.remove(whole(form.text("n"), "fault"))
    return visit.back(f"Fault {fault['id']} is out of force: {fault['do']}.")


async def clear_faults(visit: Visit) -> Response:
    """Take all fault rules out of force."""
    await visit.form()
    visit.controls.faults.clear()
    return visit.back("Nothing is to go wrong any more.")


async def reset(visit: Visit) -> Response:
    """Start over with an empty state."""
    await visit.form()
    visit.controls.reset()
    return visit.go("/_fake/", "Everything is empty: tasks, subscriptions, journals. Settings and clock are kept.")


async def save(visit: Visit) -> Response:
    """Write the state to the file in which this fake keeps it."""
    await visit.form()
    saved = visit.controls.save()
    return visit.back(f"The state is in {saved['file']}, with {counted(saved['tasks'], 'task')}.")


async def restore(visit: Visit) -> Response:
    """Replace the state by one that was downloaded."""
    form = await visit.form()
    if not form.file:
        raise BadRequestError("choose a file that was downloaded here")
    visit.controls.restore(json_object(form.file, ("profile", "now", "broker")))
    return visit.go("/_fake/", "The state is restored.")


ACTS: Mapping[str, Callable[[Visit], Awaitable[Any]]] = MappingProxyType(
    {
        "/_fake/page/clock/advance": advance,
        "/_fake/page/clock/mode": set_mode,
        "/_fake/page/create": create,
        "/_fake/page/task/expire": expire,
        "/_fake/page/task/requeue": requeue,
        "/_fake/page/task/delete": delete,
        "/_fake/page/callbacks/resend": resend,
        "/_fake/page/faults/add": add_fault,
        "/_fake/page/faults/remove": remove_fault,
        "/_fake/page/faults/clear": clear_faults,
        "/_fake/page/reset": reset,
        "/_fake/page/state": restore,
        "/_fake/page/state/save": save,
    }
)
