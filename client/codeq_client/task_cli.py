"""The command `codeq`: create tasks, also again, read them, wait for their results, and count them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import IO, Any

import click

from codeq_client import BlockingCodeQ, NewTask, Task
from codeq_client._api.json_values import from_json, to_json
from codeq_client._display import excerpt, printable

from ._program import Number, Program, version_option
from .errors import CodeQError, ConfigurationError, DecodeError, TaskFailed, WaitTimeout

TASKS_PER_PART = 1000  # tasks until their ids are printed, which an interrupt would lose

#: The fields of a line of a file, as those of the API (R1): what `NewTask` calls them, and their types.
_FIELDS: Mapping[str, tuple[str, Any]] = {
    "command": ("command", str),
    "payload": ("payload", Any),
    "priority": ("priority", int),
    "webhook": ("webhook", str),
    "maxAttempts": ("max_attempts", int),
    "delaySeconds": ("delay", float),
    "runAt": ("run_at", datetime),
    "idempotencyKey": ("idempotency_key", str | None),
}

#: A value with more levels is printed in one line.
_DEEPEST_INDENTED = 100


@click.group("codeq", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def main() -> None:
    """Create and read tasks of CodeQ.

    The server and the tokens are those of the environment: CODEQ_BASE_URL, CODEQ_PRODUCER_TOKEN and CODEQ_ADMIN_TOKEN.
    """


@main.command()
@click.argument("command", required=False)
@click.argument("payload", required=False)
@click.option("--priority", type=click.IntRange(0, 9), default=0, help="0 to 9; 9 is claimed first.")
@click.option("--delay", type=Number(min=0), default=0, help="Seconds until workers may have the task.")
@click.option("--max-attempts", type=click.IntRange(min=1), help="Default: the server's.")
@click.option("--webhook", default="", help="The URL that gets the result.")
@click.option("--key", help="An idempotency key: for 24 hours it makes one task.")
@click.option("--file", type=click.File("r", encoding="utf-8"), help="Create a task for each line: JSON, see below.")
def create(
    command: str | None,
    payload: str | None,
    *,
    priority: int,
    delay: float,
    max_attempts: int | None,
    webhook: str,
    key: str | None,
    file: IO[str] | None,
) -> None:
    """Create a task of COMMAND with PAYLOAD, which is JSON ({} without it), and print its id.

    With --file, create many tasks and print their ids. Each line is an object with `command` and `payload`, and perhaps
    `priority`, `webhook`, `maxAttempts`, `delaySeconds`, `runAt` and `idempotencyKey`. If a line is no such object,
    none is created. A task that is refused, such as one whose payload is null, is reported, and the others are
    created. Lines with keys may be sent again after an outage. "-" is the standard input.
    """
    if (command is None) == (file is None):
        raise click.UsageError("give either a COMMAND or --file")
    if file is not None:
        try:
            tasks = _tasks_of(file)
        except UnicodeDecodeError as error:
            raise click.UsageError(f"the file is not UTF-8: {error}") from None
        _create_all(tasks)
        return
    value = _json(payload or "{}", "PAYLOAD")
    with _client() as codeq:
        task = codeq.create(
            command or "",
            value,
            priority=priority,
            delay=delay,
            max_attempts=max_attempts or 0,
            webhook=webhook,
            idempotency_key=key,
        )
        click.echo(printable(task.id))


def _create_all(tasks: Mapping[int, NewTask]) -> None:
    """Create the tasks, print their ids, and report on standard error which lines were rejected."""
    created, lines = 0, list(tasks)
    hidden = not sys.stderr.isatty()
    with _client() as codeq, click.progressbar(length=len(tasks), file=sys.stderr, hidden=hidden) as bar:
        for start in range(0, len(tasks), TASKS_PER_PART):
            part = lines[start : start + TASKS_PER_PART]
            try:
                batch = codeq.create_batch([tasks[line] for line in part], progress=partial(_move, bar, start))
            except CodeQError:
                _report_unsent(lines[start:])
                raise
            for task in batch.accepted:
                click.echo(printable(task.id))
            for item in batch.rejected:
                click.echo(f"line {part[item.index]}: {printable(str(item.error))}", err=True)
            created += len(batch.accepted)
            if batch.outage:  # the next part would wait as long
                _report_unsent(lines[start + TASKS_PER_PART :])
                break
    if created < len(tasks):
        raise click.ClickException(f"{len(tasks) - created} of {len(tasks)} tasks were not created")


def _report_unsent(lines: Sequence[int]) -> None:
    if lines:
        click.echo(f"line {lines[0]} and those that follow: not sent", err=True)


def _move(bar: Any, start: int, done: int, _total: int) -> None:  # noqa: ANN401 - click does not export the type
    """Show that a part of the tasks, which begins at `start`, is `done`."""
    bar.update(start + done - bar.pos)


def _tasks_of(file: IO[str]) -> dict[int, NewTask]:
    """The tasks by the numbers of their lines. Blank lines, and a byte order mark, are passed over."""
    tasks = {}
    for number, line in enumerate(file, 1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        fields = _json(line.lstrip("\ufeff"), f"line {number}")
        unknown = [name for name in fields if name not in _FIELDS] if isinstance(fields, dict) else ["no object"]
        if unknown or "command" not in fields or "payload" not in fields:
            raise click.UsageError(
                f"line {number} needs command and payload, and may have {', '.join(_FIELDS)}: {excerpt(line, 80)}"
            )
        try:
            tasks[number] = NewTask(**dict(_argument(name, value) for name, value in fields.items()))
        except DecodeError as error:
            raise click.UsageError(f"line {number}: {error}") from None
    return tasks


def _argument(field: str, value: object) -> tuple[str, Any]:
    """Return name and value of the argument of `NewTask` for a field; raises `DecodeError`."""
    name, kind = _FIELDS[field]
    return name, from_json(kind, value, field)


@main.command()
@click.argument("task_id", metavar="ID")
def get(task_id: str) -> None:
    """Print a task as JSON."""
    with _client() as codeq:
        click.echo(_text(_fields_of(codeq.get(task_id))))


@main.command()
@click.argument("task_ids", metavar="ID...", nargs=-1, required=True)
def recreate(task_ids: tuple[str, ...]) -> None:
    """Create failed tasks and dead letters again, and print the new ids.

    CodeQ requeues no dead letter and lists none, so you must know the IDs; `stats` counts them. The old tasks stay. For
    24 hours the same ID makes one task.
    """
    with _client() as codeq:
        for task_id in task_ids:
            click.echo(printable(codeq.recreate(task_id).id))


@main.command()
@click.argument("task_id", metavar="ID")
@click.option("--timeout", type=Number(min=0), default=60, show_default=True, help="Seconds.")
def wait(task_id: str, *, timeout: float) -> None:
    """Wait for the result of a task, and print it as JSON.

    Exit code 1: the task failed, or is a dead letter. 2: it did not end in time.
    """
    with _client() as codeq:
        try:
            click.echo(_text(codeq.wait_for_result(task_id, timeout)))
        except TaskFailed as error:
            raise click.ClickException(printable(str(error))) from None
        except WaitTimeout as error:
            click.echo(f"Error: {printable(str(error))}", err=True)
            sys.exit(2)


@main.command()
@click.argument("commands", metavar="COMMAND...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
def stats(commands: tuple[str, ...], *, as_json: bool) -> None:
    """Count the tasks of each COMMAND: ready, delayed, in progress, and dead letters.

    Needs an administrator's token.
    """
    with _client() as codeq:
        queues = [codeq.queue_stats(command) for command in commands]
    if as_json:
        for queue in queues:
            click.echo(_text(to_json(queue), indent=None))
        return
    width = max(len("command"), *(len(queue.command) for queue in queues))
    click.echo(f"{'command':{width}}  {'ready':>8}  {'delayed':>8}  {'in work':>8}  {'dead':>8}")
    for queue in queues:
        counts = (queue.ready, queue.delayed, queue.in_progress, queue.dead)
        click.echo("  ".join([f"{printable(queue.command):{width}}", *(f"{count:8}" for count in counts)]))


@contextmanager
def _client() -> Iterator[BlockingCodeQ]:
    """Yield the client of the environment; an error of a call ends the command with its text."""
    try:
        with BlockingCodeQ.from_env() as codeq:
            yield codeq
    except ConfigurationError as error:
        raise click.UsageError(printable(str(error))) from error
    except CodeQError as error:
        raise click.ClickException(printable(f"{type(error).__name__}: {error}")) from error


def _json(text: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{name} is not JSON: {error}") from None
    except RecursionError:
        raise click.UsageError(f"{name} is nested too deeply") from None


def _text(value: object, indent: int | None = 2) -> str:
    """The value as JSON. What could control a terminal is escaped."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=None if _is_deep(value) else indent)
    except RecursionError:  # json reads a little deeper than it writes
        raise click.ClickException("the value is nested too deeply to be printed") from None
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _is_deep(value: object) -> bool:
    """Return whether a value is nested so deeply that its indentation would be longer than what it says."""
    level = [value]
    for _ in range(_DEEPEST_INDENTED):
        level = [
            part
            for container in level
            if isinstance(container, dict | list)
            for part in (container.values() if isinstance(container, dict) else container)
        ]
    return bool(level)


def _fields_of(task: Task) -> dict[str, Any]:
    """Return the fields of a task that have a value."""
    fields = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    times = {name: value.isoformat() for name, value in fields.items() if isinstance(value, datetime)}
    return {name: value for name, value in {**fields, **times}.items() if value not in (None, "", {})}
