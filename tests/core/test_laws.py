"""Laws of the broker that hold in every state: of time, of restored states, and of what `explain` predicts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core import PROFILES, Broker, CoreSettings, State, Submission, explain
from codeq_fake.core.effects import CallbackDue
from codeq_fake.core.saved_state import dump
from tests.core.model.lockstep import START, Fate
from tests.core.model.store import MILLISECOND
from tests.core.support import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from codeq_fake.core.effects import Effect

    Step = Callable[["Shell"], None]

HOOK = "http://hooks.test/"
DONE = Submission("COMPLETED", "{}")


class Shell:
    """The least that can drive a broker: it lets time pass, and no callback is delivered."""

    def __init__(self, profile: str) -> None:
        self.now = START
        self.fate = Fate()
        self.broker = Broker(
            settings=CoreSettings(backoff_base_seconds=1),
            profile=PROFILES[profile],
            ids=self.fate,
            jitter=self.fate,
            now=START,
        )
        self.sent: list[tuple[int, Effect]] = []

    def run(self, program: Iterable[Step]) -> Shell:
        for step in program:
            self.fate.operation += 1
            step(self)
            self.send()
        return self

    def create(self, **request: Any) -> None:
        self.broker.create(payload="{}", tenant="acme", now=self.now, **request)

    def claim(self, **request: Any) -> None:
        self.broker.claim(worker="w-1", event_types=("*",), tenant="acme", now=self.now, **request)

    def finish(self) -> None:
        for task in self.in_progress():
            self.broker.submit(task, DONE, worker="w-1", now=self.now)

    def nack(self, delay_seconds: int) -> None:
        for task in self.in_progress():
            self.broker.nack(task, worker="w-1", delay_seconds=delay_seconds, now=self.now)

    def in_progress(self) -> list[str]:
        return [task.id for task in self.broker.store.tasks.values() if task.state is State.LEASED]

    def subscribe(self, **request: Any) -> None:
        self.broker.subscribe(HOOK, now=self.now, **request)

    def wait(self, milliseconds: int) -> None:
        """Let time pass, and stop at each instant at which something is due."""
        then = self.now + milliseconds * MILLISECOND
        while (due := self.broker.next_due()) is not None and due <= then:
            self.fire(due)
        self.fire(then)

    def fire(self, now: int) -> None:
        self.now = now
        self.broker.fire(now=now)
        self.send()

    def send(self) -> None:
        for effect in list(self.broker.drain_effects()):
            self.sent.append((self.now, effect))
            if isinstance(effect, CallbackDue):
                self.broker.callback_answered(effect.delivery_id, delivered=False, now=self.now)

    def handed_on(self, now: int) -> Shell:
        """Another one with the same state, at another time; expired leases get a delay there."""
        other = Shell(self.broker.profile.name)
        load(other.broker, dump(self.broker))
        other.now, other.fate.luck = now, 100
        return other

    def claim_all(self) -> Shell:
        """Claim until there is nothing left; what it got holds its lease for long."""
        for command in ("A", "GENERATE_MASTER"):
            while self.broker.claim(
                [command], worker="w-2", event_types=("*",), tenant="acme", lease_seconds=900, now=self.now
            ):
                pass
        return self


class SlowShell(Shell):
    """It stops on its way much more often than it has to."""

    def wait(self, milliseconds: int) -> None:
        for part in (milliseconds // 7, milliseconds // 3, milliseconds - milliseconds // 7 - milliseconds // 3):
            super().wait(part)


class LateShell(Shell):
    """It sleeps through what is due, and then does all of it."""

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds * MILLISECOND
        while (due := self.broker.next_due()) is not None and due <= self.now:
            self.fire(self.now)


def steps(webhooks: Sequence[str] = ("", HOOK)) -> st.SearchStrategy[list[Step]]:
    commands = st.sampled_from(["A", "A", "GENERATE_MASTER"])
    return st.lists(
        st.one_of(
            st.builds(
                partial,
                st.just(call("create")),
                command=commands,
                delay_seconds=st.sampled_from([0, 0, 1]),
                webhook=st.sampled_from(webhooks),
                idempotency_key=st.sampled_from(["", "k", "k"]),
            ),
            st.builds(partial, st.just(call("claim")), commands=st.tuples(commands), lease_seconds=st.integers(1, 3)),
            st.just(call("finish")),
            st.builds(partial, st.just(call("nack")), delay_seconds=st.sampled_from([0, 1])),
            st.builds(
                partial,
                st.just(call("subscribe")),
                event_types=st.tuples(commands),
                delivery_mode=st.sampled_from(["fanout", "hash", "group"]),
                group_id=st.just("g"),
                ttl_seconds=st.sampled_from([1, 60, 100]),
                min_interval_seconds=st.just(1),
            ),
            st.builds(partial, st.just(call("wait")), milliseconds=st.integers(0, 3000) | st.just(60_000)),
        ),
        min_size=3,
        max_size=25,
    )


def call(name: str) -> Callable[..., None]:
    """Ask the shell, whichever it is, to do this."""

    def step(shell: Shell, **request: Any) -> None:
        getattr(shell, name)(**request)

    step.__name__ = name
    return step


profiles = st.sampled_from([*PROFILES])


@given(profiles, steps())
def test_it_makes_no_difference_how_often_time_stops_on_its_way(profile: str, program: list[Step]) -> None:
    at_once, in_steps = Shell(profile).run(program), SlowShell(profile).run(program)
    assert at_once.sent == in_steps.sent
    assert dump(at_once.broker) == dump(in_steps.broker)


@pytest.mark.slow
@given(profiles, steps(webhooks=[""]))
def test_sweeps_that_come_late_delete_what_they_would_have_deleted_in_time(profile: str, program: list[Step]) -> None:
    in_time, late = Shell(profile).run(program), LateShell(profile).run(program)
    assert in_time.sent == late.sent
    assert dump(in_time.broker) == dump(late.broker)


@pytest.mark.slow
@given(profiles, steps(), steps())
def test_a_restored_broker_behaves_as_the_one_it_was_restored_from(
    profile: str, before: list[Step], after: list[Step]
) -> None:
    first, second = Shell(profile).run(before), Shell(profile)
    state = dump(first.broker)
    load(second.broker, state)
    assert dump(second.broker) == state
    first.sent.clear()
    second.now, second.fate.operation = first.now, first.fate.operation
    assert first.run(after).sent == second.run(after).sent
    assert dump(first.broker) == dump(second.broker)


def test_a_restored_broker_tries_again_what_was_being_tried() -> None:
    shell = Shell("redis")
    shell.create(command="A", webhook=HOOK)
    shell.claim(commands=["A"])
    shell.finish()
    (tried,) = shell.broker.drain_effects()
    restored = Shell("redis").broker
    load(restored, dump(shell.broker))
    restored.fire(now=START)
    assert list(restored.drain_effects()) == [tried]


@pytest.mark.slow
@given(profiles, profiles, steps(), steps())
def test_two_brokers_never_meet(profile: str, other: str, program: list[Step], others: list[Step]) -> None:
    alone, one, two = Shell(profile).run(program), Shell(profile), Shell(other)
    two.fate.operation = 1000  # so that no id is in both
    for position in range(max(len(program), len(others))):
        one.run(program[position : position + 1])
        two.run(others[position : position + 1])
    assert one.sent == alone.sent
    assert dump(one.broker) == dump(alone.broker)


@pytest.mark.slow
@given(profiles, steps())
def test_what_is_said_of_a_task_that_cannot_be_claimed_comes_true(profile: str, program: list[Step]) -> None:
    shell = Shell(profile).run(program)
    claimed = shell.handed_on(shell.now).claim_all().broker
    for task in shell.broker.store.tasks.values():
        said = explain(shell.broker, task.id, now=shell.now)
        assert said.is_now == (claimed.get(task.id).worker == "w-2")
        if said.not_before is None:
            continue
        then = shell.handed_on(said.not_before).claim_all().broker.get(task.id)
        assert (then.state, then.worker) != (task.state, task.worker)
        if said.not_before > shell.now:
            before = shell.handed_on(said.not_before - 1).claim_all().broker.get(task.id)
            assert (before.state, before.worker) == (task.state, task.worker)
