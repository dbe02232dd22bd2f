"""The story of a run as a page: lanes for the hosts and the server, with weather, leases and effects, and a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

import jinja2
from markupsafe import Markup, escape

from codeq_fake.page.rendering import html_environment
from codeq_fake.testing import TaskView

from .effects import why_not_held
from .log import Entry
from .story import Scene, labels_of, lanes_of, lines_of
from .weather_kinds import describe, end_of

_LABEL = re.compile(r"\btask (\d+)\b")
#: About how many times the axis names, and the distances between them (s).
_TICKS = 6
#: No time is named so near to the end of the axis that it would reach beyond it (share of the run).
_LAST_TICK = 0.95
_DISTANCES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_TEST = "the test"
#: The most characters of a payload.
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class _Bar:
    """Something on a lane. `left` and `width` are in percent of the run; a point has no width.

    `target` is the id of what it leads to.
    """

    style: str
    left: float
    width: float | None
    text: str
    target: str


def page(scene: Scene, tasks: Sequence[str], *, title: str, failure: str, command: str = "") -> str:
    """The page: what failed, the command that repeats it, the weather, the tasks with these ids, and the story."""
    lines = sorted([*lines_of(scene, tasks), *_weather(scene)], key=attrgetter("at"))
    labels = labels_of(tasks)
    bars = _Bars(scene, labels)
    return _template().render(
        title=title,
        failure=failure,
        command=command,
        weather=[describe(event) for event in scene.plan.events],
        ticks=bars.ticks(),
        lanes=[{"name": lane or _TEST, "bars": list(bars.of(lane))} for lane in lanes_of(scene, lines)],
        tasks=[_task(task, labels) for task in scene.evidence.tasks if task.id in labels],
        rows=[_row(line, labels) for line in lines],
    )


def _weather(scene: Scene) -> Iterator[Entry]:
    """The beginnings of the events of the weather."""
    for event in scene.plan.events:
        yield Entry(event.at, event.target, describe(event), "weather")


class _Bars:
    """What happened, as bars on the lanes."""

    def __init__(self, scene: Scene, labels: Mapping[str, str]) -> None:
        evidence = scene.evidence
        self._scene = scene
        self._labels = labels
        self._leases = evidence.leases
        self._end = max(evidence.end, 1)

    def ticks(self) -> list[dict[str, Any]]:
        """The times on the axis."""
        distance = next((one for one in _DISTANCES if self._end / one <= _TICKS), _DISTANCES[-1])
        last = int(self._end * _LAST_TICK)
        return [{"left": self._percent(at), "text": f"{at} s"} for at in range(0, last, distance)]

    def of(self, lane: str) -> Iterator[_Bar]:
        """The bars of one lane, those that cover others first."""
        for event in self._scene.plan.events:
            if event.target == lane:
                yield self._bar("event", event.at, end_of(event), describe(event), "weather")
        for task_id, label in self._labels.items():
            for holding in self._leases.holdings(task_id):
                if holding.worker == lane:
                    text = f"{lane} held {label} from {holding.begin:.1f} s to {holding.end:.1f} s"
                    yield self._bar(f"lease {_colour(label)}", holding.begin, holding.end, text, _slug(label))
        yield from self._effects(lane)

    def _effects(self, lane: str) -> Iterator[_Bar]:
        for name, entries in self._scene.effects.items():
            for entry in entries:
                if entry.host == lane and entry.task in self._labels:
                    label, why = self._labels[entry.task], why_not_held(self._leases, entry)
                    style = f"effect {'wrong ' if why else ''}{_colour(label)}"
                    text = ", ".join(filter(None, (f"{name} {entry}", why)))
                    yield _Bar(style, self._percent(entry.at), None, text, _slug(label))

    def _bar(self, style: str, begin: float, end: float, text: str, target: str) -> _Bar:
        left = self._percent(begin)
        return _Bar(style, left, round(self._percent(end) - left, 3), text, target)

    def _percent(self, at: float) -> float:
        return round(100 * min(at, self._end) / self._end, 3)


def _task(task: TaskView, labels: Mapping[str, str]) -> dict[str, str]:
    """What the page says of a task."""
    payload = json.dumps(task.payload, ensure_ascii=False)
    attempts = "1 attempt" if task.attempts == 1 else f"{task.attempts} attempts"
    return {
        "label": labels[task.id],
        "slug": _slug(labels[task.id]),
        "id": task.id,
        "command": task.command,
        "payload": payload if len(payload) <= _LONGEST else f"{payload[:_LONGEST]}...",
        "end": f"{task.status} after {attempts}",
    }


def _row(line: Entry, labels: Mapping[str, str]) -> dict[str, str]:
    """A row of the table. The tasks in its text are links."""
    known = set(labels.values())
    text = Markup(_LABEL.sub(lambda found: _link(found[0], known), str(escape(line.text))))  # noqa: S704 - escaped
    return {"at": f"{line.at:.1f}", "lane": line.host or _TEST, "style": line.kind, "text": text}


def _link(label: str, known: set[str]) -> str:
    return f'<a href="#{_slug(label)}">{label}</a>' if label in known else label


def _slug(label: str) -> str:
    """The id of the row of a task: `task-1`."""
    return label.replace(" ", "-")


def _colour(label: str) -> str:
    """The class that gives a bar the colour of a task."""
    return label.replace("task ", "of-")


@cache
def _template() -> jinja2.Template:
    return html_environment(__package__).get_template("story.html")
