"""The actions of the page: each is a posted form, and leads to a document that says what happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from codeq_fake.clocks import in_slices
from codeq_fake.control import BadRequestError
from codeq_fake.control.argument_readers import anything, clock_mode, duration, instant, shaped_object, whole
from codeq_fake.core import BUILT_IN_COMMANDS
from codeq_fake.core.errors import Refused
from codeq_fake.faults import BadFaultError
from codeq_fake.faults.recipes import RECIPES
from codeq_fake.http.rejections import status_and_text

from .limits import MOST_SUGGESTED
from .rendering import counted, query
from .visit import Visit

_UNITS = MappingProxyType({"s": 1, "min": 60, "h": 3600, "d": 86_400})


@dataclass(frozen=True, slots=True)
class NewTask:
    """The fields of the form for a new task, as typed."""

    command: str = "GENERATE_MASTER"
    payload: str = "{}"
    tenant: str = ""
    priority: str = "0"
    delay: str = ""
    max_attempts: str = ""
    webhook: str = ""


async def advance(visit: Visit) -> Response:
    """Advance the clock by a number of seconds or of another unit, or to a time."""
    if to := visit.field("to"):
        clock = await visit.controls.advance(to=instant(to))
    else:
        seconds = visit.field("seconds")
        unit = 1 if seconds else _UNITS.get(visit.field("unit"), 1)
        clock = await visit.controls.advance(by=_nanoseconds(seconds or visit.field("amount")) * unit)
    return visit.back(f"The clock advanced to {clock['now']}. {clock['digest']}.")


def _nanoseconds(text: str) -> int:
    """A text with a number of seconds, as ns."""
    with suppress(InvalidOperation):
        number = Decimal(text)
        if number.is_finite():
            return duration(number)
    raise BadRequestError("advance the clock by a number, such as 90 or 0.5")


async def set_mode(visit: Visit) -> Response:
    """Stop the clock or let it run."""
    mode = clock_mode(visit.field("mode"), "mode")
    now = (await visit.controls.set_clock(mode=mode))["now"]
    return visit.back(f"The clock runs from {now} on." if mode == "real" else f"The clock stands at {now}.")


def show_form(visit: Visit, typed: NewTask, problem: str = "") -> Response:
    """The form for a new task, with what was typed and what is wrong with it."""
    known = islice(dict.fromkeys([*BUILT_IN_COMMANDS, *visit.runtime.broker.counters.created]), MOST_SUGGESTED)
    return visit.show("create.html", 400 if problem else 200, typed=typed, problem=problem, commands=list(known))


async def create(visit: Visit) -> Response:
    """Create a task; if that is refused, show the form again with the reason."""
    typed = NewTask(**{name: visit.field(name) for name in NewTask.__slots__})
    try:
        task = visit.controls.create(
            typed.command,
            typed.payload,
            tenant=typed.tenant,
            priority=whole(typed.priority or "0", "priority"),
            webhook=typed.webhook.strip(),
            max_attempts=whole(typed.max_attempts or "0", "attempts"),
            delay_seconds=whole(typed.delay or "0", "delay"),
        )
    except BadRequestError as error:
        return show_form(visit, typed, str(error))
    except Refused as error:
        return show_form(visit, typed, status_and_text(error, "create")[1])
    await visit.runtime.carry_out_effects()
    return visit.go(query("/_fake/page/task", id=task.id), "The task is created.")


def expire(visit: Visit) -> Response:
    """End the lease of a task."""
    visit.controls.expire(visit.field("id"))
    visit.runtime.arm()
    return visit.back("The lease is over. Until the task is back in its queue, its worker can still end it (H3).")


def take_lease(visit: Visit) -> Response:
    """Take a task from its worker."""
    visit.controls.take_lease(visit.field("id"))
    return visit.back("The worker has lost the task: its next request about it is refused with 403.")


def requeue(visit: Visit) -> Response:
    """Put a task at the tail of its pending list."""
    visit.controls.requeue(visit.field("id"))
    return visit.back("The task is ready again, at the tail of its queue.")


def delete(visit: Visit) -> Response:
    """Delete a task."""
    deleted = visit.controls.delete(visit.field("id"))
    return visit.go("/_fake/page/tasks", f"Task {deleted['id']} is deleted.")


async def resend(visit: Visit) -> Response:
    """Send a callback or a notice again."""
    sent = (await visit.controls.resend(whole(visit.field("n"), "callback")))["callback"]
    if sent is None:
        return visit.back("The rate limit of the webhook delays it: it is sent later.")
    return visit.back(f"Sent again as number {sent['n']}: {sent['state']}.")


def add_fault(visit: Visit) -> Response:
    """Add a fault rule."""
    rule = {name: read(visit.field(name), name) for names, read in _RULE for name in names if visit.field(name)}
    [fault] = visit.controls.faults.add(rule)["faults"]
    return visit.back(f"Fault {fault['id']} is active: {fault['do']}.")


def add_by_recipe(visit: Visit) -> Response:
    """Add the fault rule of a recipe, from what stands in the blanks of its sentence."""
    number = whole(visit.field("recipe"), "recipe")
    if number >= len(RECIPES):
        raise BadRequestError(f"recipe: there is no number {number}")
    recipe = RECIPES[number]
    values = {name: visit.field(name) for name in recipe.blanks}
    try:
        visit.controls.faults.add(recipe.filled(values))
    except BadFaultError as error:
        raise BadRequestError(str(error)) from None
    return visit.back(f"Active: {recipe.written(values)}.")


def _float(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRequestError(f"{name}: found {text!r} where a number belongs") from None


def _headers(text: str, name: str) -> dict[str, str]:
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    if wrong := next((line for line, colon, _ in lines if not colon), None):
        raise BadRequestError(f"{name}: found {wrong!r} where a line such as Server: nginx belongs")
    return {header.strip(): value.strip() for header, _, value in lines}


#: The fields of a fault rule, and how each is read.
_RULE: Sequence[tuple[Sequence[str], Callable[[str, str], Any]]] = (
    (("do", "on", "worker", "command", "task", "how", "body"), anything),
    (("nth", "times", "seed", "status", "retryAfter"), whole),
    (("probability", "seconds"), _float),
    (("headers",), _headers),
)


def remove_fault(visit: Visit) -> Response:
    """Remove a fault rule."""
    fault = visit.controls.faults.remove(whole(visit.field("n"), "fault"))
    return visit.back(f"Fault {fault['id']} is removed: {fault['do']}.")


def clear_faults(visit: Visit) -> Response:
    """Remove all fault rules."""
    visit.controls.faults.clear()
    return visit.back("All faults are removed.")


def reset(visit: Visit) -> Response:
    """Start over with an empty state."""
    visit.controls.reset()
    return visit.go("/_fake/", "Everything is empty: tasks, subscriptions, journals. Settings and clock are kept.")


async def save(visit: Visit) -> Response:
    """Write the state to this fake's state file."""
    saved = await visit.controls.save()
    return visit.back(f"The state is in {saved['file']}, with {counted(saved['tasks'], 'task')}.")


async def restore(visit: Visit) -> Response:
    """Replace the state by an uploaded one."""
    if not visit.form.file:
        raise BadRequestError("choose a file that was downloaded here")
    state = await in_slices(shaped_object(visit.form.file, ("profile", "now", "broker")))
    await visit.controls.restore_in_slices(state)
    return visit.go("/_fake/", "The state is restored.")


ACTIONS: Mapping[str, Callable[[Visit], Response | Awaitable[Response]]] = MappingProxyType(
    {
        "/_fake/page/clock/advance": advance,
        "/_fake/page/clock/mode": set_mode,
        "/_fake/page/create": create,
        "/_fake/page/task/expire": expire,
        "/_fake/page/task/take": take_lease,
        "/_fake/page/task/requeue": requeue,
        "/_fake/page/task/delete": delete,
        "/_fake/page/callbacks/resend": resend,
        "/_fake/page/faults/add": add_fault,
        "/_fake/page/faults/recipe": add_by_recipe,
        "/_fake/page/faults/remove": remove_fault,
        "/_fake/page/faults/clear": clear_faults,
        "/_fake/page/reset": reset,
        "/_fake/page/state": restore,
        "/_fake/page/state/save": save,
    }
)
