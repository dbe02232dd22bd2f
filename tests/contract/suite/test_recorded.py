"""The level `recorded`: recordings of the real server are replayed on a target, under names of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from codeq_contract.driver import Clock, Driver, Reply, Request, UnsupportedError
from codeq_contract.driver.identities import Issuer
from codeq_contract.driver.interface import Transport
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.recordings.format import bytes_of
from codeq_contract.recordings.shipped import ORDERED_BY_ID, PAST_AN_EDGE, clauses_shown, shipped, shipped_names
from codeq_contract.recordings.times import SECOND
from codeq_contract.replay.callers import callers_of
from codeq_contract.replay.comparison import Difference
from codeq_contract.replay.real_time import RealTimeSession
from codeq_contract.replay.requirements import Requirements
from codeq_contract.report.results import InconclusiveError
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.recorded import differences
from tests.contract.suite.support import run_cases, run_suite

#: What a deployment has that was set up as the recorded server was, except what no one gives away.
_OF_A_DEPLOYMENT = frozenset({"batch", "long_poll", "subscriptions", "artifacts", "metrics", "webhooks"})


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Driver]:
    """A server whose clock stands still while it answers, with the settings of most recordings."""
    setup = Requirements(shipped("v0.3.3/redis/abandon")).setup
    with InProcessTarget("redis", issuer=issuer).start(setup) as driver:
        yield driver


@pytest.fixture
def server_of_main(issuer: Issuer) -> Iterator[Driver]:
    """As `server`, of the main branch on its embedded store."""
    setup = Requirements(shipped("main/pebble/abandon")).setup
    with InProcessTarget("pebble", issuer=issuer, version="main").start(setup) as driver:
        yield driver


def deployment(server: Driver, *features: str, backoff_base: int = 1) -> Driver:
    """The server as one that the suite did not start."""
    known = replace(server.settings, backoff_base=backoff_base)
    return replace(server, issuer=None, start_other=None, features=_OF_A_DEPLOYMENT | {*features}, settings=known)


def session(server: Driver, name: str, prefix: str = "cq-1-") -> list[Difference]:
    callers = callers_of(shipped(name), server, prefix)
    driver = replace(server, tokens=callers.tokens)
    return RealTimeSession(shipped(name), driver, driver.call, prefix, callers.subjects).play()


def lacks(server: Driver, name: str) -> list[str]:
    return [*Requirements(shipped(name)).lacks(server)]


def test_a_defect_that_only_a_recording_shows_is_found(server: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    contract, recording = CaseContext(server), shipped("v0.3.3/redis/admin")
    assert not differences(contract, recording)
    # A clean-up deletes the oldest tasks first.
    monkeypatch.setattr("codeq_fake.core.task_store.sorted", list, raising=False)
    assert "GET /v1/codeq/admin/queues" in str(differences(contract, recording)[0])


@pytest.mark.parametrize(
    "name", ["callback_retry", "claim_tenants", "create_idempotent", "lease_expiry", "delays", "artifacts", "auth"]
)
def test_a_session_has_other_ids_names_and_times_and_the_same_answers(server: Driver, name: str) -> None:
    assert session(server, f"v0.3.3/redis/{name}") == []


@pytest.mark.parametrize("name", ["head_artifact_names", "head_topics"])
def test_a_session_of_main_has_the_same_answers(issuer: Issuer, name: str) -> None:
    # Of the names that are refused one leads out of the folder of the task.
    setup = Requirements(shipped(f"main/pebble/{name}")).setup.but({"LOCAL_ARTIFACTS_DIR": "/tmp/ours/artifacts"})  # noqa: S108 - nothing is written
    with InProcessTarget("pebble", issuer=issuer, version="main").start(setup) as server:
        assert session(server, f"main/pebble/{name}") == []


def test_what_no_other_server_of_main_shows_is_named(server_of_main: Driver) -> None:
    assert lacks(server_of_main, "main/pebble/head_reaper") == [
        "its leases end when the reaper looks, which each server does at other moments (P1)"
    ]
    assert lacks(server_of_main, "main/pebble/heartbeat_shortens"), "no reply shows the end that the heartbeat sets"
    assert lacks(server_of_main, "main/pebble/callback_gives_up") == []
    assert Requirements(shipped("main/pebble/head_tenants")).needs_own_server, (
        "other names would have another form (G4)"
    )


def test_sessions_on_one_server_do_not_disturb_each_other(server: Driver) -> None:
    first, second = (
        session(server, "v0.3.3/redis/claim_order", "cq-1-"),
        session(server, "v0.3.3/redis/claim_order", "cq-2-"),
    )
    assert (first, second) == ([], [])
    assert session(server, "v0.3.3/redis/claim_order", "cq-2-"), "under the same names they meet each other's tasks"


def test_a_session_finds_what_a_server_answers_otherwise(issuer: Issuer) -> None:
    setup = Requirements(shipped("v0.3.3/redis/nack")).setup.but({"BACKOFF_BASE_SECONDS": "7"})
    with InProcessTarget("redis", issuer=issuer).start(setup) as other:
        [first, *_] = session(other, "v0.3.3/redis/nack")
    assert (first.path, first.theirs, first.ours, first.clauses) == ("body.delaySeconds", "1", "7", "R7 N1-N6")


def test_the_callers_of_a_deployment_stand_for_recorded_ones_with_the_same_rights(server: Driver) -> None:
    theirs = deployment(server)
    assert session(theirs, "v0.3.3/redis/claim_order") == []
    assert session(theirs, "v0.3.3/redis/claim_tenants", "cq-2-") == []
    with pytest.raises(UnsupportedError, match="it needs one more producer with the claims"):
        session(theirs, "v0.3.3/redis/auth")


def test_what_a_deployment_excludes_is_named(server: Driver) -> None:
    known = deployment(server, "known_settings")
    assert lacks(known, "v0.3.3/redis/claim_order") == []
    assert lacks(known, "v0.3.3/redis/admin_cleanup_result") == [
        "it needs clean_up",
        "it needs a server that nothing else uses",
    ]
    assert lacks(deployment(server), "v0.3.3/redis/nack") == [
        "it depends on max_attempts, which is unknown; `settings` in a --config file give it"
    ]
    assert lacks(deployment(server, "known_settings", backoff_base=7), "v0.3.3/redis/nack") == [
        "it was recorded with backoff_base 1"
    ]
    assert lacks(known, "v0.3.3/redis/tracing")[0].startswith("it needs other settings: TRACING_ENABLED")
    assert lacks(known, "v0.3.3/redis/claim_defaults") == [
        "it uses the built-in commands, whose tasks may be of others"
    ]
    assert lacks(replace(known, features=known.features - {"webhooks"}), "v0.3.3/redis/callback_ok") == [
        "it needs webhooks"
    ]
    assert lacks(known, "v0.3.3/redis/nack_backoff_bogus")[0] == "its delays were drawn (N6)"
    assert lacks(known, "v0.3.3/redis/bodies_worker")[0] == "it needs clean_up", (
        "it makes a subscription, and gets no notices"
    )
    assert lacks(known, "v0.3.3/redis/subscriptions_group_and_hash")[0] == "its notices depend on the minute (U6)"


def test_a_clause_selects_the_recordings_that_show_it(tmp_path: Path) -> None:
    options = ("--codeq-dry-run", "--codeq-level=recorded", "--codeq-fact=S5")
    printed = run_cases(tmp_path, "from codeq_contract.cases.test_recorded import *", *options).output
    chosen = [line for line in printed.splitlines() if line.startswith("recorded    test_")]
    assert chosen == [
        "recorded    test_the_server_answers_as_recorded[v0.3.3/kvrocks-2.8/artifacts]  [S5]",
        "recorded    test_the_server_answers_as_recorded[v0.3.3/redis/artifacts]  [S5]  (unsupported: no store:redis)",
    ], printed


def test_recordings_are_shipped_with_the_clauses_that_they_show() -> None:
    assert all(clauses_shown(name) for name in shipped_names())
    assert set(shipped_names()) > ORDERED_BY_ID | PAST_AN_EDGE


@pytest.mark.parametrize(("early", "is_different"), [(0.166, False), (0.4, True)])
def test_a_long_poll_may_find_what_is_due_one_try_earlier(server: Driver, early: float, *, is_different: bool) -> None:
    """Each poll tries every 250 ms from its own beginning, and finds what fell due before its next try (K9)."""
    recording = shipped("v0.3.3/redis/seed_story")
    calls = iter(recording.calls)

    def answer(_: Request) -> Reply:
        call, now = next(calls), server.clock.now()
        took = call.answered - call.sent
        if took > SECOND:
            took -= round(early * SECOND)
        return Reply(now, now + took, call.status, call.reply_headers, bytes_of(call.reply))

    found = [each.path for each in RealTimeSession(recording, server, answer, "").play()]
    assert ("time of the answer" in found) is is_different


@dataclass
class LateOnce:
    """A transport that sends one request late."""

    transport: Transport
    clock: Clock
    number: int
    seconds: float

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:
        self.number -= 1
        if not self.number:
            self.clock.sleep(self.seconds)
        return self.transport.exchange(requests, schedule)


def test_a_difference_that_may_come_of_our_own_lateness_is_inconclusive(server: Driver) -> None:
    """Call 79 claims 45 ms after the lease of call 75 ended. If that one is later, it does not find the task."""
    late = LateOnce(server.transport, server.clock, number=75, seconds=0.06)
    driver = replace(deployment(server, "known_settings"), in_real_time=True, transport=late)
    with pytest.raises(InconclusiveError, match="s late, and then"):
        differences(CaseContext(driver), shipped("v0.3.3/redis/trace_3"))


@pytest.mark.process
def test_a_server_on_a_port_is_compared_in_real_time(tmp_path: Path) -> None:
    chosen = "redis and (claim_tenants or callback_retry or admin_cleanup_result or abandon) or kvrocks and abandon"
    run = run_suite(
        tmp_path, "--target", "http", "--profile", "redis", "--level", "recorded", "-k", chosen, "--seed", "0"
    )
    verdicts = {case.name.partition("[")[2][:-1]: case.verdict.value for case in run.report.cases}
    played = {name: verdict for name, verdict in verdicts.items() if verdict != "skipped"}
    assert played == {
        "v0.3.3/kvrocks-2.8/abandon": "unsupported",
        "v0.3.3/redis/abandon": "pass",
        "v0.3.3/redis/admin_cleanup_result": "pass",
        "v0.3.3/redis/callback_retry": "pass",
        "v0.3.3/redis/claim_tenants": "pass",
    }, run.output
    assert run.case("test_the_server_answers_as_recorded[v0.3.3/redis/abandon]").clauses == ("R6", "D1", "D2")
