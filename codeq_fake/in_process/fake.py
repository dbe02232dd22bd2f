"""The handle of a fake in this process. It can do what the control API can, without HTTP in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from starlette.types import ASGIApp

from codeq_fake.auth import identities_of
from codeq_fake.clocks import Mode, let_tasks_run, make_clock
from codeq_fake.control.argument_readers import profile as checked_profile
from codeq_fake.control.controls import Controls
from codeq_fake.control.fault_rules import checked
from codeq_fake.core.durations import Duration, duration
from codeq_fake.core.times import SECOND
from codeq_fake.faults import Rule
from codeq_fake.http.host_guard import is_bound_to_loopback
from codeq_fake.journal import DEFAULT_BYTES, DEFAULT_SIZE
from codeq_fake.payloads import DEFAULT_PROFILE, Callback, FaultRule, Identity, Profile, Queue, Request, Status
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.server_settings import Settings
from codeq_fake.serving.application import application
from codeq_fake.surprises import Surprise

from .arguments import check_counts, check_types, nanoseconds
from .assertions import Assertions
from .detached import Detached
from .event_loop import Home
from .fault_scope import FaultScope, Injected
from .port import Port
from .producer import ProducerSide
from .receivers import Application, Receivers
from .task_view import TaskView
from .worker import WorkerSide

if TYPE_CHECKING:
    import httpx


class FakeCodeQ(Assertions, ProducerSide, WorkerSide):
    """A CodeQ server in memory.

    - `settings` are the real server's environment variables, `yaml` is the text of its configuration file.
    - `identities` are the callers that it knows: `{"name": {"kind": "producer" or "worker", "claims": {...}}}`. Their
      tokens are their names. Without identities and auth settings, the token `dev-token` may do everything.
    - `profile` is the version and the store that the fake imitates. The default is `kvrocks-2.8`, or `main/pebble` if
      the settings have that PERSISTENCE_PROVIDER. `reaper_phase` is a time, in seconds since 1970, at which the reaper
      of `main/pebble` looks for expired leases, as it does every 2 s; the default is the start of the clock.
    - `clock` is `manual`, `real` or `auto`, and `now` is the instant at which it stands or starts. An `auto` clock
      follows the `VirtualTimeLoop` in which the fake is used.
    - `webhooks` maps an origin such as `http://app.test` to an ASGI or WSGI application that receives the callbacks to
      it, and serves keys if a `jwksUrl` leads there. The lifespan of Starlette, FastAPI, Litestar and Quart
      applications runs. What one of them raises is raised again by `check_receivers` and `close`; the pytest plugin
      fails the test with it.
    - `webhook_allow` are further hosts that callbacks may go to. On a port, requests over loopback must name this
      machine as their host while the token is `dev-token`, unless `any_host` is true.
    - `filled_from` is a seed file: YAML with tasks and subscriptions to start with. `seed` makes ids and jitter
      repeatable.
    - Contents of artifacts are written to files only if `settings` or `yaml` name a LOCAL_ARTIFACTS_DIR.

    Use it as a context manager, or call `close`, if you use `client` or a blocking `advance`.
    """

    def __init__(
        self,
        *,
        profile: Profile | None = None,
        clock: Mode = "manual",
        now: str | datetime | None = None,
        settings: Mapping[str, str] | None = None,
        yaml: str | None = None,
        identities: Mapping[str, Identity] | Mapping[str, Mapping[str, Any]] | None = None,
        webhooks: Mapping[str, Application] | None = None,
        webhook_allow: Iterable[str] = (),
        any_host: bool = False,
        journal_size: int = DEFAULT_SIZE,
        journal_bytes: int = DEFAULT_BYTES,
        seed: int | None = None,
        control_token: str | None = None,
        filled_from: str | Path | None = None,
        reaper_phase: Duration | None = None,
    ) -> None:
        check_types(Mapping, NoneType, noun="a mapping of origins to applications", webhooks=webhooks)
        check_types(str, NoneType, control_token=control_token)
        check_counts(journal_size=journal_size, journal_bytes=journal_bytes)
        self._receivers = Receivers(webhooks or {})
        # `Config`, `make_clock` and the functions that read the others check these.
        given = Settings.from_env(settings or {}, yaml or "")
        chosen = (given.chosen_profile or DEFAULT_PROFILE) if profile is None else checked_profile(profile)
        config = Config(
            profile=chosen,
            settings=given,
            identities=identities_of(identities) if identities else (),
            webhook_allow=tuple(webhook_allow),
            any_host=any_host,
            mounts=self._receivers.by_origin,
            journal_size=journal_size,
            journal_bytes=journal_bytes,
            seed=seed,
            reaper_phase=None if reaper_phase is None else duration(reaper_phase, "reaper_phase"),
        )
        self._runtime = FakeServer(config, make_clock(clock, start=nanoseconds(now) if now is not None else None))
        self._controls = Controls(self._runtime)
        self._control_token = control_token
        self._home = Home(in_thread=clock != "auto", on_error=self._receivers.errors.append)
        self._call = self._home.call
        self._port = Port(self._home, self._runtime)
        self._app = application(self._runtime, control_token=control_token)
        if filled_from is not None:
            _fill(self._runtime, Path(filled_from))
        #: The server as an ASGI application, the control API included. It may be called from any event loop.
        self.app: ASGIApp = self._home.application(self._app)
        self._detached = Detached(self._app)

    def __repr__(self) -> str:
        counts = Counter(task.state.name.lower() for task in list(self._runtime.broker.store.tasks.values()))
        states = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no tasks"
        return f"<FakeCodeQ {self._runtime.config.profile} at {self.now} ({self._runtime.clock.mode}): {states}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        __tracebackhide__ = True
        if failure is not None:
            self._receivers.errors.clear()
        self.close()

    def close(self) -> None:
        """Answer requests that wait, and end the thread for blocking clients, if there is one. May be repeated.

        Raises what `check_receivers` raises.
        """
        __tracebackhide__ = True
        self._home.close(self._end)
        self.check_receivers()

    async def _end(self) -> None:
        self._runtime.release()
        await let_tasks_run()
        await self._receivers.shut_down()

    # On a port.

    @contextmanager
    def serve(self, host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeCodeQ]:
        """Serve this fake on a port as well, in a background thread; port 0 picks a free one. Sets `url`.

        On an address that other machines reach, the control API is off unless the fake has a `control_token`. Raises
        PortTakenError (an OSError), and RuntimeError if the fake is already used in the running event loop.
        """
        safe = is_bound_to_loopback(host) or self._control_token is not None
        app = self._app if safe else application(self._runtime, with_control=False)
        with self._port.serve(app, host, port):
            yield self

    @property
    def url(self) -> str:
        """The URL under which this fake is served. Raises RuntimeError outside of `serve`."""
        return self._port.url

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that lead a client to this fake: CODEQ_BASE_URL and the tokens."""
        return self._runtime.tokens.environment(self.url)

    @property
    def tokens(self) -> dict[str, str | None]:
        """A token for each of the roles producer, worker and admin; None if no caller has the role."""
        return self._runtime.tokens.by_role()

    # Clients.

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        """A blocking httpx client of this fake, with `token` as its bearer token.

        By default each request has the one of `tokens` that its route needs. `options` are httpx's. The read timeout
        works (5 s of real time unless you set `timeout`): on a manual clock that is not advanced, a long poll would
        wait for ever.
        """
        from . import clients  # noqa: PLC0415 - httpx takes a quarter of a second to import

        return clients.blocking(self._detached, self._home, self._tokens(token), options)

    def async_client(self, token: str | None = None, **options: Any) -> httpx.AsyncClient:
        """As `client`, for async code, on asyncio or trio."""
        from . import clients  # noqa: PLC0415 - as above

        return clients.asynchronous(self._detached, self._home, self._tokens(token), options)

    def transport(self) -> httpx.AsyncBaseTransport:
        """The transport of `async_client`, for async clients of your own that take a transport of httpx.

        If a worker of `codeq_client` uses it, what its hooks raise is added to `receiver_errors`.
        """
        from . import clients  # noqa: PLC0415 - as above

        return clients.AsyncTransport(self._detached, self._home, on_hook_error=self.receiver_errors.append)

    def _tokens(self, token: str | None) -> Mapping[str, str | None]:
        """The token for each role: the given one, or those of the settings and identities, or that of development."""
        if token is not None:
            return {"producer": token}
        tokens = self.tokens
        return tokens if any(tokens.values()) else {"producer": "dev-token"}

    # Time.

    @property
    def now(self) -> str:
        """The present instant of the fake's clock, RFC 3339 in UTC."""
        return self._controls.clock()["now"]

    def time(self) -> float:
        """The present instant of the fake's clock, in seconds since the epoch."""
        return self._call(self._runtime.clock.now) / SECOND

    @overload
    def advance(self, seconds: Duration) -> None: ...
    @overload
    def advance(self, *, to: str | datetime) -> None: ...
    def advance(self, seconds: Duration | None = None, *, to: str | datetime | None = None) -> None:
        """Advance the clock through everything that falls due, and return when nothing moves any more.

        By a number of seconds, a text such as `1h 30m` or a timedelta, or to an instant. For blocking code; in a
        coroutine use `aadvance`. Raises ConflictError if that would go back, and ValueError.
        """
        self._home.block(partial(self._advance, seconds, to))

    @overload
    async def aadvance(self, seconds: Duration) -> None: ...
    @overload
    async def aadvance(self, *, to: str | datetime) -> None: ...
    async def aadvance(self, seconds: Duration | None = None, *, to: str | datetime | None = None) -> None:
        """As `advance`, for coroutines."""
        await self._home.run(partial(self._advance, seconds, to))

    async def _advance(self, seconds: Duration | None, to: str | datetime | None) -> None:
        by = duration(seconds, "seconds") if seconds is not None else None
        await self._controls.move_clock(by=by, to=nanoseconds(to) if to is not None else None)

    async def sleep(self, seconds: Duration) -> None:
        """Wait until the fake's clock has moved on by `seconds`, by itself or by an `advance`."""
        length = duration(seconds, "seconds")
        await self._home.run(lambda: self._runtime.waiters.sleep(length))

    def freeze(self) -> None:
        """Make a real clock stand still from now on."""
        self._call(lambda: self._runtime.clock.set_mode("manual"))

    def thaw(self) -> None:
        """Make the clock run from now on, from the instant at which it stands."""
        self._home.call_in_loop(lambda: self._runtime.clock.set_mode("real"))

    def next(self, *, ids: Iterable[str] = (), delays: Iterable[int] = ()) -> None:
        """Choose the next task or subscription ids, and the next backoff delays with jitter (seconds).

        Raises BadRequestError, or ConflictError for an id that is taken.
        """
        self._call(lambda: self._controls.next(ids=ids, delays=delays))

    def faults(self, *rules: Rule | FaultRule) -> AbstractContextManager[Injected]:
        """Activate fault rules for the length of a `with` statement; see `codeq_fake.faults`.

        A rule is made by one of its functions, such as `drop_reply(on="complete", times=1)`, or is an object as
        `/_fake/faults` takes it. Raises BadRequestError. At the end, warns of each rule that matched nothing, and
        without `with` of all rules (`codeq_fake.faults.FaultNotMetWarning`).
        """
        return FaultScope(self._controls.faults, self._runtime.fault_plan, checked(rules), self._call)

    # State.

    def task(self, task_id: str) -> TaskView:
        """One task. Looking has no side effect. Raises UnknownTaskError."""
        return TaskView.of(self._call(lambda: self._controls.task(task_id)))

    def tasks(
        self, *, status: Status | Literal[""] = "", command: str = "", tenant: str | None = None
    ) -> list[TaskView]:
        """The tasks that match, oldest first."""
        check_types(str, command=command, status=status)
        check_types(str, NoneType, tenant=tenant)
        return [TaskView.of(task) for task in self._in_full(status, command, tenant)]

    def expire(self, task_id: str) -> None:
        """End a task's lease now. Raises UnknownTaskError or ConflictError."""
        self._call(lambda: self._controls.expire(task_id))

    def take(self, task_id: str) -> None:
        """Take a task from its worker: end its lease, and requeue it as the next claim would.

        Raises UnknownTaskError, or ConflictError for a task that has no lease.
        """
        self._call(lambda: self._controls.take_lease(task_id))

    def race(self, kind: Literal["redeliver_finished", "lose_task", "revoke_lease"], task_id: str) -> None:
        """Let one of the real server's races (Z1 to Z3) happen to a task now; `faults` lets it happen at a request.

        Raises UnknownTaskError, or ConflictError if it cannot happen: only a finished task is delivered again, and only
        a leased task is lost or loses its lease.
        """
        self._call(partial(self._controls.race, kind, task_id))

    def requeue(self, task_id: str) -> None:
        """Put a task in any state at the tail of its pending list. A finished task starts again.

        Raises UnknownTaskError.
        """
        self._call(lambda: self._controls.requeue(task_id))

    def delete(self, task_id: str) -> None:
        """Delete a task with its result. Raises UnknownTaskError."""
        self._call(lambda: self._controls.delete(task_id))

    def check_receivers(self) -> None:
        """Raise the first of `receiver_errors`, unless it was expected. Forgets all of them.

        The pytest plugin calls it at the end of each test that passed.
        """
        __tracebackhide__ = True
        self._receivers.check()

    def expect_receiver_error(
        self, kind: type[BaseException] = Exception, match: str = ""
    ) -> AbstractContextManager[None]:
        """Expect such an error of an application of `webhooks`, a hook or a callback by the end of a `with` statement.

        `match` is a regular expression to be found in its text. Advance the clock inside, so that the callbacks are
        sent and answered. Raises AssertionError if there is no such error.
        """
        return self._receivers.expect(kind, match)

    @property
    def receiver_errors(self) -> list[BaseException]:
        """What applications of `webhooks` raised, and nothing has expected or raised again. Clear it to forget them.

        Errors of a worker's hooks are here, too, if the worker uses `transport`. In a test on an auto clock, those of
        the event loop's callbacks (`loop.call_later`) are, too.
        """
        return self._receivers.errors

    def resend(self, n: int) -> None:
        """Send callback or notice number `n` of `callbacks` again, and return when nothing moves any more.

        For blocking code. Raises UnknownCallbackError, or ConflictError if its task has no result any more.
        """
        self._home.block(partial(self._controls.resend, n))

    def queues(self) -> list[Queue]:
        """The number of tasks in each place, by tenant and command, as in `/_fake/queues`."""
        return self._call(self._controls.queues)["queues"]

    @property
    def parked_claims(self) -> int:
        """How many claims wait for a task at this moment (`waitSeconds`)."""
        return self._call(lambda: self._runtime.waiters.parked)

    @property
    def requests(self) -> list[Request]:
        """The requests so far, with their replies."""
        return self._call(self._controls.requests)

    @property
    def surprises(self) -> list[Surprise]:
        """What the requests so far expect because CodeQ's documents say so, and the real server does not do."""
        return self._call(self._runtime.surprises.so_far)

    @property
    def callbacks(self) -> list[Callback]:
        """The callbacks and notices so far, with each of their tries."""
        return self._call(self._controls.callbacks)

    def state(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return self._call(self._controls.state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace the state by one that `state` returned. A manual clock stands at its instant afterwards.

        Raises BadRequestError, and then has changed nothing.
        """
        self._home.call_in_loop(lambda: self._controls.restore(state))

    def contract(self) -> dict[str, Any]:
        """Each clause of the contract: how sure it is, where the fake differs, how often its traffic touched it."""
        return self._call(self._controls.contract)

    def reset(self) -> None:
        """Start over with an empty state and empty journals. Settings and clock stay."""
        self._call(self._controls.reset)


def _fill(runtime: FakeServer, file: Path) -> None:
    """Create what a seed file lists. Raises SeedError, and OSError."""
    from codeq_fake.control.seed_files import create_all, read_seed  # noqa: PLC0415 - most fakes start empty and need no YAML

    create_all(runtime, read_seed(str(file), file.read_text(encoding="utf-8")))
