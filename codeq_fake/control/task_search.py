"""Which tasks a list is to have: by state, command, tenant or text, and those that need a person."""

from __future__ import annotations

from dataclasses import dataclass, field

from codeq_fake.core import Broker, State, Status, Task
from codeq_fake.core.commands import queue_name
from codeq_fake.core.slices import Slices
from codeq_fake.documents import LONG

from .errors import BadRequestError
from .stuck_tasks import is_lease_over, is_stuck

#: The word for tasks whose lease is over, until a claim or the reaper requeues them.
OVER = "over"
#: The word for tasks that need a person.
STUCK = "stuck"
#: What a search may ask for as a state.
STATES = (*(state.name.lower() for state in State), OVER, STUCK)


def word_for(task: Task, broker: Broker, now: int) -> str:
    """The word of `STATES` for the state of a task at an instant (ns)."""
    return OVER if is_lease_over(task, broker, now) else task.state.name.lower()


def is_short(task: Task) -> bool:
    """Whether the texts of a task are short enough to be read at once."""
    return len(task.id) + len(task.command) + len(task.error) + len(task.payload) <= LONG


@dataclass(frozen=True, slots=True)
class TaskSearch:
    """What tasks must have in common; an empty field matches all. `id` is the beginning of an id.

    `text` is in a task's id, command, payload or error, in upper or lower case. Raises BadRequestError.
    """

    status: str = ""
    command: str = ""
    tenant: str | None = None
    state: str = ""
    text: str = ""
    id: str = ""
    _queue: str = field(init=False)

    def __post_init__(self) -> None:
        for name, value, known in (("status", self.status, (*Status,)), ("state", self.state, STATES)):
            if value and value not in known:
                raise BadRequestError(f"{name}: found {value!r}, allowed are {', '.join(known)}")
        object.__setattr__(self, "_queue", queue_name(self.command))
        object.__setattr__(self, "text", self.text.lower())

    @property
    def is_empty(self) -> bool:
        """Whether all tasks match."""
        return self.tenant is None and not any((self.status, self.command, self.state, self.text, self.id))

    def matches(self, task: Task, broker: Broker, now: int) -> bool:
        """Whether a task matches at an instant (ns), whatever its text."""
        return (
            (not self.status or task.status == self.status)
            and (not self.command or queue_name(task.command) == self._queue)
            and (self.tenant is None or task.tenant == self.tenant)
            and (not self.id or task.id.startswith(self.id))
            and (not self.state or self._has_state(task, broker, now))
        )

    def short_has_text(self, task: Task) -> bool:
        """Whether the text is in a task that `is_short`."""
        text = self.text
        return (
            text in task.payload.lower()
            or text in task.command.lower()
            or text in task.id.lower()
            or text in task.error.lower()
        )

    def has_text(self, task: Task) -> Slices[bool]:
        """Whether the text is in any task. A long task is read in parts, which overlap by the length of the text."""
        if is_short(task):
            return self.short_has_text(task)
        for text in (task.id, task.command, task.error, task.payload):
            for start in range(0, len(text), LONG):
                if self.text in text[start : start + LONG + len(self.text)].lower():
                    return True
                yield
        return False

    def _has_state(self, task: Task, broker: Broker, now: int) -> bool:
        if self.state == OVER:
            return is_lease_over(task, broker, now)
        if self.state == STUCK:
            return is_stuck(task, broker, now)
        return task.state is State[self.state.upper()]
