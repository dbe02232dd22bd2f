"""The command `codeq-worker`: run a worker, create tasks by schedules, or check that a worker could run."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from codeq_client import BlockingCodeQ, CodeQ, Registry, Worker
from codeq_client._api.calls import Role
from codeq_client._api.operations import check_worker_token
from codeq_client._display import printable, without_password
from codeq_client._worker.cancellation import text_of
from codeq_client._worker.log_output import BackgroundHandler, JsonLines, TextLines
from codeq_client._worker.reloading import run_and_reload
from codeq_client._worker.signals import pause_on_signals, stop_on_signals

from ._program import Number, Program, version_option
from .errors import CodeQError, ConfigurationError, Unauthorized

if TYPE_CHECKING:
    from .health import HealthServer  # it imports an HTTP server, which most runs do not need
    from .metrics import WorkerMetrics
    from .schedules import Schedule

_log = logging.getLogger("codeq_client.worker")

_log_option = click.option(
    "--log", "log_format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
_log_level_option = click.option("--log-level", default="INFO", show_default=True)


@click.group("codeq-worker", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@version_option
def main() -> None:
    """Run workers for CodeQ."""


@main.command()
@click.argument("target", metavar="MODULE:OBJECT")
@click.option("--command", "commands", multiple=True, help="Handle only this command; may be repeated.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Tasks at a time; default: the worker's setting.")
@click.option("--grace", type=Number(min=0), help="Seconds that handlers may run on after a signal.")
@click.option("--burst", is_flag=True, help="Exit when no task is left.")
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    help="Serve /live, /ready and /metrics on this port.",
)
@click.option("--health-host", default="127.0.0.1", show_default=True, help="The address of the health port.")
@click.option(
    "--queue-metrics", is_flag=True, help="Let /metrics count the tasks that wait, too; needs CODEQ_ADMIN_TOKEN."
)
@_log_option
@_log_level_option
@click.option("--reload", is_flag=True, help="Restart when a Python file in this folder changes.")
def run(  # the command's options
    target: str,
    *,
    commands: tuple[str, ...],
    concurrency: int | None,
    grace: float | None,
    burst: bool,
    health_port: int | None,
    health_host: str,
    queue_metrics: bool,
    log_format: str,
    log_level: str,
    reload: bool,
) -> None:
    """Run the worker MODULE:OBJECT: a `Worker`, a `Registry` of handlers, or a function that returns one of them.

    A registry is run with the server and the token of the environment: CODEQ_BASE_URL and CODEQ_WORKER_TOKEN.

    SIGINT, SIGTERM and SIGHUP stop it when its handlers are done, or after the grace period. A second SIGINT or SIGTERM
    ends it at once. SIGUSR1 pauses it: it claims no more, and its handlers go on. SIGUSR2 resumes it.
    """
    if reload:
        sys.exit(run_and_reload([argument for argument in sys.argv[1:] if argument != "--reload"]))
    set_up_logs(log_format, log_level)
    worker = _load_worker(target)
    worker.only = commands or worker.only
    worker.concurrency = concurrency or worker.concurrency
    worker.grace = worker.grace if grace is None else grace
    if queue_metrics and health_port is None:
        raise click.UsageError("--queue-metrics needs --health-port")
    with contextlib.ExitStack() as stack:
        try:
            if health_port is not None:
                metrics = _metrics(worker, stack if queue_metrics else None)
                stack.enter_context(_probes(worker, health_port, health_host, metrics))
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_run(worker, burst=burst))
        except CodeQError as error:
            raise click.ClickException(printable(str(error))) from error


@main.command()
@click.argument("target", metavar="MODULE:OBJECT")
@click.option("--delay", type=Number(min=0), help="Seconds to wait after each moment; default: drawn, up to 10.")
@click.option(
    "--catch-up",
    type=Number(min=0),
    default=60,
    show_default=True,
    help="Seconds before the start whose moments are created too.",
)
@_log_option
@_log_level_option
def schedule(target: str, *, delay: float | None, catch_up: float, log_format: str, log_level: str) -> None:
    """Create the tasks of the schedules MODULE:OBJECT: a list of `Schedule`, or a function that returns one.

    Several of these processes may run, for safety: each moment has an idempotency key. Give each another --delay.
    """
    set_up_logs(log_format, log_level)
    value = _import(target)
    try:
        asyncio.run(_schedule(value() if callable(value) else value, delay, catch_up))
    except CodeQError as error:
        raise click.ClickException(printable(str(error))) from error


async def _schedule(schedules: Iterable[Schedule], delay: float | None, catch_up: float) -> None:
    """Run until a signal."""
    from .schedules import Scheduler  # noqa: PLC0415 - as above

    post = asyncio.get_running_loop().call_soon_threadsafe
    async with CodeQ.from_env() as codeq:
        run = asyncio.create_task(Scheduler(codeq, schedules, delay=delay, catch_up=catch_up).run())
        with stop_on_signals(partial(post, run.cancel)), contextlib.suppress(asyncio.CancelledError):
            await run


def _metrics(worker: Worker, queues: contextlib.ExitStack | None) -> WorkerMetrics | None:
    """Return the metrics of a worker, None where prometheus-client is missing.

    With `queues` also those of its commands' queues, by a client that is closed with that stack.
    """
    try:
        from .metrics import QueueCollector, WorkerMetrics  # noqa: PLC0415 - an extra
    except ImportError:
        if queues:
            raise click.ClickException("--queue-metrics needs the extra metrics: codeq-client[metrics]") from None
        return None
    if queues is None:
        return WorkerMetrics(worker)
    if not os.environ.get("CODEQ_ADMIN_TOKEN"):
        raise click.ClickException("--queue-metrics needs CODEQ_ADMIN_TOKEN")
    commands = [handler.command for handler in worker.handlers_of(worker.only).values()]
    codeq = queues.enter_context(BlockingCodeQ.from_env(retries=0, timeout=5))
    return WorkerMetrics(worker, QueueCollector(codeq, commands))


def _probes(worker: Worker, port: int, host: str, metrics: Callable[[], bytes] | None) -> HealthServer:
    """Start to serve the probes. Raises `ClickException` if the port is taken."""
    from .health import HealthServer  # noqa: PLC0415 - as above

    try:
        server = HealthServer(worker, port, host, metrics=metrics)
    except OSError as error:
        raise click.ClickException(f"the probes cannot be served on {host}:{port}: {error.strerror}") from error
    _log.info("probes are at http://%s:%d/live and /ready", host, server.port)
    return server


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the event loop of uvloop where it is installed, otherwise None for asyncio's."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - there is none for Windows and PyPy
    except ImportError:
        return None
    return new_event_loop


async def _run(worker: Worker, *, burst: bool) -> None:
    async with worker.codeq:
        with pause_on_signals(worker.pause, worker.resume):
            await worker.run(burst=burst)


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8081, show_default=True, help="The health port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address of its probes.")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def status(port: int, host: str, *, as_json: bool) -> None:
    """Show what a running worker with a health port does. Exit code 1: it is not ready."""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/ready"
    try:
        found = httpx.get(url, trust_env=False, timeout=10).json()
        ready, text = found["ok"], json.dumps(found) if as_json else _status_text(found)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        raise click.ClickException(printable(f"no worker answers at {url}: {text_of(error)}")) from error
    click.echo(printable(text))
    if not ready:
        sys.exit(1)


def _status_text(status: Mapping[str, Any]) -> str:
    state = "draining" if status["draining"] else "paused" if status["paused"] else "running"
    state = state if status["running"] else "stopped"
    claim = "no claim was answered" if status["claimAge"] is None else f"last claim {status['claimAge']:.1f} s ago"
    ready = "ready" if status["ok"] else "not ready"
    lines = [
        f"{ready}: {state}, {status['tasks']} of {status['slots']} slots busy",
        f"oldest task {status['oldest']:.1f} s, {status['stuck']} stuck, {claim}",
    ]
    return "\n".join([*lines, status["claimError"]] if status["claimError"] else lines)


@main.command()
def check() -> None:
    """Check that the server is reachable, and that the worker token of the environment has all scopes it needs.

    Claims no task.
    """
    try:
        seconds, url = asyncio.run(_check())
    except Unauthorized as error:
        reason = f"the server does not accept CODEQ_WORKER_TOKEN for a worker: {error}"
        raise click.ClickException(printable(reason)) from error
    except CodeQError as error:
        raise click.ClickException(printable(f"{type(error).__name__}: {error}")) from error
    click.echo(
        f"{without_password(url)} answered in {seconds * 1000:.0f} ms: the token has all scopes that a worker needs"
    )


async def _check() -> tuple[float, str]:
    """Return the seconds that the requests of the check took, and the server's URL."""
    async with CodeQ.from_env(retries=0, timeout=5) as codeq:
        if Role.WORKER not in codeq.core.tokens:
            raise ConfigurationError("CODEQ_WORKER_TOKEN is not set")
        clock = codeq.core.clock
        begin = clock.monotonic()
        await codeq.run(check_worker_token(codeq.core))
        return clock.monotonic() - begin, codeq.base_url


def _load_worker(target: str) -> Worker:
    """Return the worker that MODULE:OBJECT names; raises a `ClickException` that says what is wrong with it."""
    value = _import(target)
    if inspect.iscoroutinefunction(value):
        raise click.UsageError(
            f"{target} is asynchronous: create the worker in a plain function, and move the rest to `lifespan`"
        )
    try:
        found = value() if callable(value) else value
        if isinstance(found, Registry) and not isinstance(found, Worker):
            found = Worker(CodeQ.from_env(), found)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    if not isinstance(found, Worker):
        raise click.UsageError(f"{target} is neither a Worker nor a Registry but a {type(found).__name__}")
    return found


def _import(target: str) -> Any:  # noqa: ANN401 - the user's
    """Return what MODULE:OBJECT names."""
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise click.UsageError(f"{target!r} does not have the form MODULE:OBJECT, such as app:worker")
    sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module exists, but one of its imports is missing
        raise click.UsageError(f"there is no module {error.name!r} in this folder") from error
    except ConfigurationError as error:
        raise click.ClickException(f"{module_name}: {error}") from error
    try:
        for part in name.split("."):
            value = getattr(value, part)
    except AttributeError as error:
        raise click.UsageError(f"{target}: {error}") from error
    return value


def set_up_logs(log_format: str, level: str) -> None:
    """Send log records to standard error, as text or as JSON lines."""
    handler: logging.Handler
    try:
        handler = BackgroundHandler(sys.stderr)
    except io.UnsupportedOperation:  # it has no file descriptor, and so nothing to wait for
        handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    try:
        logging.basicConfig(level=level.upper(), handlers=[handler])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request


if __name__ == "__main__":
    main()
