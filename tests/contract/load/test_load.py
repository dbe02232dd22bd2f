"""`codeq-contract load` records a complete history, which is marked if it could not be drained."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codeq_contract.checker import Validity, check
from codeq_contract.cli import main
from codeq_contract.driver import Driver, Reply, Request, Setup
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.load import BrokenLoadError, Load, record_load
from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.format import Recording
from codeq_contract.suite import options
from codeq_fake.core import Broker

pytestmark = pytest.mark.slow

TARGET = InProcessTarget("kvrocks-2.8")
LOAD = Load(tasks=200, seconds=15, seed=1)


def recorded(load: Load) -> Recording:
    with TARGET.start(Setup()) as driver:
        return record_load(driver, load, SUITE_SETTINGS)


@pytest.fixture(scope="module")
def history() -> Recording:
    return recorded(LOAD)


def what_happened(recording: Recording) -> Counter[tuple[str, int]]:
    """How often which operation was answered how."""
    last = re.compile(r"/(\w+)$")
    return Counter(
        (found[1] if (found := last.search(call.path)) and call.method == "POST" else "read", call.status)
        for call in recording.calls
    )


def test_a_load_of_the_fake_is_drained_and_keeps_every_law(history: Recording) -> None:
    report = check(history)
    assert history.header.drained
    assert report.validity is Validity.VALID, report.violations
    assert report.tasks > 100


def test_a_load_of_main_names_its_version_and_keeps_every_law() -> None:
    with InProcessTarget("pebble", version="main").start(Setup()) as driver:
        recording = record_load(driver, Load(tasks=60, seconds=5, seed=2), SUITE_SETTINGS)
    assert recording.header.profile == "main/pebble"
    report = check(recording)
    assert report.validity is Validity.VALID, report.violations


def test_a_load_refuses_a_store_that_the_server_contradicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "InProcessTarget", lambda *_, **__: InProcessTarget("pebble", version="main"))
    chosen = ["--contract=auto", "--profile=redis", "--out", str(tmp_path / "history.jsonl")]
    ran = CliRunner().invoke(main, ["load", *chosen])
    assert ran.exit_code == 2
    assert "--profile: found redis, but the server shows pebble" in ran.output


def test_a_load_contains_everything_that_the_laws_check(history: Recording) -> None:
    happened = what_happened(history)
    usual = [("heartbeat", 200), ("heartbeat", 403), ("nack", 200), ("abandon", 200), ("batch", 200), ("claim", 204)]
    assert [each for each in usual if not happened[each]] == []
    assert happened["result", 403] + happened["result", 409] > 0, "no worker came too late"
    assert any('"status":"dlq"' in call.reply for call in history.calls)
    assert any("delaySeconds" in (call.body or "") for call in history.calls if call.path == "/v1/codeq/tasks")
    assert {callback.status for callback in history.callbacks} >= {200, 500}
    tenants = {identity.claims["tenantId"] for identity in history.header.identities.values()}
    assert len(tenants) == 2


def test_n2_dead_letters_come_after_even_numbers_of_attempts_too(history: Recording) -> None:
    most = {task["id"]: task["maxAttempts"] for task in tasks_of(history, "/tasks")}
    dead = {call.path.split("/")[-2] for call in history.calls if '"status":"dlq"' in call.reply}
    assert {most[task] for task in dead} >= {2, 3, 4}


def test_s1_some_workers_end_tasks_that_they_never_held(history: Recording) -> None:
    holders = {(task["id"], task["workerId"]) for task in tasks_of(history, "/claim")}
    subjects = {name: identity.claims["sub"] for name, identity in history.header.identities.items()}
    ends = [
        (call.path.split("/")[-2], subjects[call.identity or ""])
        for call in history.calls
        if call.method == "POST" and "/result" in call.path
    ]
    assert len(set(ends) - holders) > 3


def test_h3_a_heartbeat_after_the_lease_is_followed_by_a_claim_and_a_result(history: Recording) -> None:
    last = max(index for index, call in enumerate(history.calls) if call.identity == "producer")
    drain = [call for call in history.calls[last:] if call.identity == "worker"]
    late = [
        call.path.split("/")[-2]
        for call, following in pairwise(drain)
        if call.path.endswith("/heartbeat") and call.status == 200 and following.path.endswith("/claim")
    ]
    assert len(late) == 1
    ends = [call.status for call in drain if call.method == "POST" and call.path.endswith(f"{late[0]}/result")]
    assert ends[:1] in ([403], [409])


def tasks_of(recording: Recording, path: str) -> list[dict[str, Any]]:
    """The tasks that were shown in full to those who asked at a path that ends so."""
    return [json.loads(call.reply) for call in recording.calls if call.path.endswith(path) and '"id"' in call.reply]


def test_only_simultaneous_calls_overlap(history: Recording) -> None:
    crowds, ends = Counter(call.sent for call in history.calls), dict[int, int]()
    for call in history.calls:
        ends[call.sent] = max(call.answered, ends.get(call.sent, 0))
    assert max(crowds.values()) > 3
    assert all(answered < sent for (_, answered), (sent, _) in pairwise(sorted(ends.items())))


def test_the_same_seed_makes_the_same_load(history: Recording) -> None:
    def told(recording: Recording) -> list[tuple[int, str | None, str, int]]:
        return [
            (call.sent - recording.header.epoch, call.identity, call.method, call.status) for call in recording.calls
        ]

    assert told(recorded(LOAD)) == told(history)


def test_a_load_creates_no_more_tasks_than_requested(history: Recording) -> None:
    creates = [call for call in history.calls if call.path == "/v1/codeq/tasks"]
    tasks = {task["id"]: task["command"] for task in (json.loads(call.reply) for call in creates)}
    commands = set(tasks.values())
    assert len(commands) == 4 + 50, "each long poll has its own command"
    shared = Counter(tasks.values()).most_common(4)
    assert sum(number for _, number in shared) <= LOAD.tasks
    assert len(tasks) - sum(number for _, number in shared) <= LOAD.tasks
    assert all(command.startswith("CQ-") for command in commands)


def test_no_token_is_in_a_recording(history: Recording) -> None:
    assert {"producer", "worker", "other_producer"} < history.header.identities.keys()
    for identity in history.header.identities.values():
        assert identity.claims.keys() <= {"sub", "tenantId", "scope", "eventTypes"}
    assert not any("authorization" in {name.lower() for name in call.headers} for call in history.calls)


class Interrupted(Driver):
    """A driver whose user loses patience at some of the calls."""

    def together(self, requests: Sequence[Request], *, schedule: int = 0) -> list[Reply]:
        self.left.append(len(requests))
        if len(self.left) in self.when:
            raise KeyboardInterrupt
        return super().together(requests, schedule=schedule)

    left: list[int]
    when: set[int]


def interrupted(*when: int) -> Recording:
    with TARGET.start(Setup()) as driver:
        impatient = Interrupted(**vars(driver))
        object.__setattr__(impatient, "left", [])
        object.__setattr__(impatient, "when", set(when))
        return record_load(impatient, LOAD, SUITE_SETTINGS)


def test_an_interrupt_ends_the_load_and_begins_the_drain() -> None:
    recording = interrupted(60)
    assert recording.header.drained
    assert check(recording).validity is not Validity.VIOLATED
    assert any(not call.status for call in recording.calls), "what was under way has no reply"
    assert check(recording).tasks < 100


def test_a_second_interrupt_cuts_the_history() -> None:
    recording = interrupted(60, 70)
    assert not recording.header.drained
    assert check(recording).validity is not Validity.VIOLATED


class Garbling(Driver):
    """A driver some of whose replies are mangled on their way."""

    def together(self, requests: Sequence[Request], *, schedule: int = 0) -> list[Reply]:
        replies = super().together(requests, schedule=schedule)
        return [
            replace(reply, body=self.mangle(reply)) if self.is_due(request) else reply
            for request, reply in zip(requests, replies, strict=True)
        ]

    mangle: Callable[[Reply], bytes]
    is_due: Callable[[Request], bool]


def garbled(path: str, mangle: Callable[[Reply], bytes]) -> Recording:
    """A load in which every seventh reply to calls whose path ends so is mangled."""
    numbers = count()
    with TARGET.start(Setup()) as driver:
        garbling = Garbling(**vars(driver))
        object.__setattr__(garbling, "mangle", mangle)
        object.__setattr__(garbling, "is_due", lambda request: request.path.endswith(path) and next(numbers) % 7 == 3)
        return record_load(garbling, Load(tasks=40, seconds=5, seed=1), SUITE_SETTINGS)


@pytest.mark.parametrize("path", ["/tasks", "/claim", "/batch", "/result", "/nack", "/heartbeat", ""])
def test_a_mangled_reply_counts_as_lost(path: str) -> None:
    recording = garbled(path, lambda reply: reply.body[: len(reply.body) // 2])
    report = check(recording)
    assert report.validity is not Validity.VIOLATED, report.violations
    assert recording.header.drained


@pytest.mark.parametrize("body", [b"null", b"[]", b"\xff\xfe", b""])
def test_a_reply_of_another_type_counts_as_lost(body: bytes) -> None:
    assert garbled("/tasks", lambda _: body).header.drained


class Misplacing(Driver):
    """A driver whose server puts every tenth new task into a queue from which no one claims, and does not show it."""

    def together(self, requests: Sequence[Request], *, schedule: int = 0) -> list[Reply]:
        sent = [self.misplaced(request) if request.path.endswith("/tasks") else request for request in requests]
        replies = super().together(sent, schedule=schedule)
        return [replace(reply, body=reply.body.replace(b"-LOST", b"")) for reply in replies]

    def misplaced(self, request: Request) -> Request:
        body = json.loads(request.body or b"")
        command = body["command"] + ("-LOST" if next(self.numbers) % 10 == 3 else "")
        return replace(request, body=json.dumps({**body, "command": command}).encode())

    numbers: count[int]


def test_lost_tasks_do_not_hold_up_the_drain_and_are_told_from_late_ones() -> None:
    with TARGET.start(Setup()) as driver:
        misplacing = Misplacing(**vars(driver))
        object.__setattr__(misplacing, "numbers", count())
        slow_backoff = {**SUITE_SETTINGS, "BACKOFF_POLICY": "exponential", "BACKOFF_BASE_SECONDS": "5"}
        recording = record_load(misplacing, Load(tasks=40, seconds=5, drain=60, seed=1), slow_backoff)
    assert recording.header.drained
    assert "lost" in dict(check(recording).violations)


def test_a_load_that_fails_midway_keeps_its_history() -> None:
    with pytest.raises(BrokenLoadError, match="the load broke off: KeyError: 'id'") as broken:
        garbled("/tasks", lambda _: b"{}")
    assert not broken.value.recording.header.drained
    assert len(broken.value.recording.calls) > 3


def test_the_command_writes_the_history_of_a_load_that_fails_midway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BrokenLoadError) as broken:
        garbled("/tasks", lambda _: b"{}")

    def record(driver: Driver, *_: object) -> Recording:
        assert driver.is_reachable
        raise broken.value

    monkeypatch.setattr("codeq_contract.cli.load.record_load", record)
    out = tmp_path / "history.jsonl"
    ran = CliRunner().invoke(main, ["load", "--out", str(out)])
    assert (ran.exit_code, "Error: the load broke off: KeyError: 'id'" in ran.output) == (2, True), ran.output
    assert len(read_recording(out).calls) == len(broken.value.recording.calls)


def test_the_command_writes_what_check_reads(tmp_path: Path) -> None:
    out = tmp_path / "history.jsonl.gz"
    arguments = ["--target", "asgi", "--profile", "redis", "--seed", "7", "--tasks", "40", "--seconds", "5"]
    ran = CliRunner().invoke(main, ["load", *arguments, "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    figures = r"[\d,]+ calls in \d+ s \([\d,]+/s\), \d+ tasks created, \d+ ended\n"
    phases = "".join(f"{phase}: {figures}" for phase in ("load", "long polls", "drain", "last reads"))
    assert re.fullmatch(
        rf"asgi: 3 producers and 6 workers, 5 s, seed 7\n{phases}{out}: \d+ calls, \d+ callbacks, drained\n", ran.output
    )
    assert read_recording(out).header.profile == "redis"
    checked = CliRunner().invoke(main, ["check", str(out)])
    assert (checked.exit_code, checked.output.endswith(": valid\n")) == (0, True)


def test_a_load_that_is_not_drained_in_time_is_marked(tmp_path: Path) -> None:
    out = tmp_path / "history.jsonl"
    ran = CliRunner().invoke(main, ["load", "--out", str(out), "--seconds", "5", "--tasks", "40", "--drain", "0"])
    assert ran.exit_code == 3, ran.output
    assert "not drained: it shows no losses" in ran.output
    assert CliRunner().invoke(main, ["check", str(out)]).exit_code == 0


def test_the_command_says_how_many_calls_had_no_reply(
    history: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused calls are quick: the rate alone looks as if a server that is gone were a fast one."""
    lost = [replace(call, status=0) for call in history.calls[-3:]]
    recording = replace(history, calls=(*history.calls[:-3], *lost))
    monkeypatch.setattr("codeq_contract.cli.load.record_load", lambda *_: recording)
    ran = CliRunner().invoke(main, ["load", "--out", str(tmp_path / "history.jsonl")])
    assert f": {len(recording.calls)} calls, 3 of them without a reply, " in ran.output


def test_a_load_of_which_tasks_are_lost_is_not_called_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create, numbers = Broker.create, count(1)

    def without_tenant_at_times(self: Broker, *arguments: Any, **named: Any) -> Any:
        return create(self, *arguments, **{**named, **({"tenant": ""} if next(numbers) % 20 == 0 else {})})

    monkeypatch.setattr(Broker, "create", without_tenant_at_times)
    out = tmp_path / "history.jsonl"
    ran = CliRunner().invoke(main, ["load", "--out", str(out), "--seed", "1", "--seconds", "5", "--tasks", "40"])
    assert re.search(r"claims find nothing more, but \d+ tasks did not end: `codeq-contract check`", ran.output)
    assert CliRunner().invoke(main, ["check", str(out)]).exit_code == 1


@pytest.mark.parametrize("option", ["--level=core", "--fact=K1", "--known=none", "--report=report"])
def test_a_load_has_no_options_about_cases(tmp_path: Path, option: str) -> None:
    out = tmp_path / "history.jsonl"
    ran = CliRunner().invoke(main, ["load", "--out", str(out), "--tasks=1", "--seconds=1", option])
    assert (ran.exit_code, "No such option" in ran.output) == (2, True), ran.output


@pytest.mark.port
def test_a_load_that_cannot_be_run_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "history.jsonl"
    given = ["--target", "url", "--url", "http://127.0.0.1:9", "--producer-token", "a", "--worker-token", "b"]
    ran = CliRunner().invoke(main, ["load", "--out", str(out), *given])
    assert ran.exit_code == 2
    assert "no server answers" in ran.output
    assert not out.exists()
