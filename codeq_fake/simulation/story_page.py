"""The story of a run as a page: a lane for each host and one for the server, time from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from .event_kinds import describe
from .log import Entry
from .story import Scene, labels_of, lanes_of, lines_of

_STYLE = """
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem; }
pre { background: #8881; padding: .6rem; overflow-x: auto; white-space: pre-wrap; }
table { border-collapse: collapse; }
th, td { border-left: 1px solid #8885; padding: .15rem .6rem; text-align: left; vertical-align: top; }
thead th { position: sticky; top: 0; background: Canvas; }
tbody th { border: 0; font-weight: normal; text-align: right; white-space: nowrap; opacity: .7; }
tbody tr:nth-child(odd) { background: #8881; }
"""


def page(scene: Scene, tasks: Sequence[str], *, title: str, failure: str) -> str:
    """The page: what failed, the weather, the tasks with these ids, and what happened on each host."""
    lines = lines_of(scene, tasks)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>',
        "<body>",
        f"<h1>{escape(title)}</h1>",
        f"<pre>{escape(failure)}</pre>",
        "<h2>The weather</h2>",
        *_list(describe(event) for event in scene.plan.events),
        "<h2>The tasks</h2>",
        *_list(f"{label}: {task_id}" for task_id, label in labels_of(tasks).items()),
        "<h2>What happened</h2>",
        *_table(lines, lanes_of(scene, lines)),
        "</body></html>",
    ]
    return "\n".join(parts)


def _list(items: Iterable[str]) -> Iterator[str]:
    yield from ("<ul>", *(f"<li>{escape(item)}</li>" for item in items), "</ul>")


def _table(lines: Iterable[Entry], lanes: Sequence[str]) -> Iterator[str]:
    names = "".join(f'<th scope="col">{escape(lane or "the test")}</th>' for lane in lanes)
    yield f'<table><thead><tr><th scope="col">s</th>{names}</tr></thead><tbody>'
    for line in lines:
        cells = "".join(f"<td>{escape(line.text) if lane == line.host else ''}</td>" for lane in lanes)
        yield f'<tr><th scope="row">{line.at:.1f}</th>{cells}</tr>'
    yield "</tbody></table>"
