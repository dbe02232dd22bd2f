"""The commands that call a running fake: their output for people and as JSON, and their errors."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner
from rich.console import Console

from codeq_fake.cli import main
from codeq_fake.cli import tasks as tasks_module
from codeq_fake.cli import top as top_module
from codeq_fake.cli.control_client import Fake
from codeq_fake.core.errors import TaskNotFound
from codeq_fake.serving.server import listen
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.port

START = "2026-01-31T12:00:00Z"
#: How often top asks for what it draws.
A_LOOK = 4
FORGED = "A\n  12:00:00.000  completed by worker-9 -> NONE\x1b[31m"
ID = "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01"


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    with FakeCodeQ(now=START) as fake, fake.serve():
        yield fake


def call(fake: FakeCodeQ, *arguments: str, **how: Any) -> Result:
    return CliRunner().invoke(main, arguments, env={"CODEQ_BASE_URL": fake.url, "COLUMNS": "200"}, **how)


def printed(fake: FakeCodeQ, *arguments: str) -> str:
    done = call(fake, *arguments)
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return done.stdout


def as_json(fake: FakeCodeQ, *arguments: str) -> Any:
    text = printed(fake, *arguments, "--json")
    assert text.count("\n") == 1
    return json.loads(text)


def refused(*arguments: str, **variables: str) -> tuple[int, str]:
    keys = [name for name in os.environ if name.startswith("CODEQ")]
    done = CliRunner().invoke(main, arguments, env={**dict.fromkeys(keys), **variables})
    assert done.stdout == ""
    return done.exit_code, done.stderr


def leased(fake: FakeCodeQ) -> str:
    """The id of a task that is leased for a minute."""
    fake.next(ids=[ID])
    fake.enqueue("RENDER", {"job": 1}, priority=3)
    with fake.client() as http:
        http.post("/v1/codeq/tasks/claim", json={"commands": ["RENDER"], "leaseSeconds": 60})
    return ID


# Tasks.


def test_tasks_are_listed_with_what_they_wait_for(fake: FakeCodeQ) -> None:
    leased(fake)
    fake.enqueue("PACK", tenant="acme", delay=30)
    head, first, second = printed(fake, "tasks").splitlines()
    assert " ".join(head.split()) == (
        "id command status where state since error priority attempts worker lease until tenant"
    )
    assert first.split() == [
        *(ID, "RENDER", "IN_PROGRESS", "INPROG_SET", "leased", START),
        *("3", "1/5", "worker-dev", "2026-01-31T12:01:00Z", "dev"),
    ]
    assert second.split()[1:] == ["PACK", "PENDING", "DELAYED_ZSET", "delayed", START, "0", "0/5", "acme"]


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        ((), ["RENDER", "PACK"]),
        (("--status", "in_progress"), ["RENDER"]),
        (("--command", "pack"), ["PACK"]),
        (("--tenant", "acme"), ["PACK"]),
        (("--limit", "1"), ["RENDER"]),
    ],
)
def test_tasks_are_filtered_by_options(fake: FakeCodeQ, arguments: tuple[str, ...], commands: list[str]) -> None:
    leased(fake)
    fake.enqueue("PACK", tenant="acme")
    assert [task["command"] for task in as_json(fake, "tasks", *arguments)["tasks"]] == commands


def test_an_empty_fake_prints_no_tasks(fake: FakeCodeQ) -> None:
    assert printed(fake, "tasks") == "no tasks\n"
    assert printed(fake, "requests") == "no requests\n"
    assert printed(fake, "callbacks") == "no callbacks\n"


def test_a_tasks_history_is_printed_with_why_it_cannot_be_claimed(fake: FakeCodeQ) -> None:
    leased(fake)
    assert printed(fake, "task", ID).splitlines() == [
        f"task {ID}  RENDER  IN_PROGRESS, INPROG_SET",
        "  leased  attempts 1/5  priority 3  tenant dev",
        '  payload {"job":1}',
        "  12:00:00  created by dev -> PENDING_LIST",
        "  12:00:00  claimed by worker-dev -> INPROG_SET",
        "  leased to worker-dev until 12:01:00",
        "  not claimable: worker-dev holds its lease (K5), not before 12:00:59.001",
    ]
    assert as_json(fake, "task", ID)["status"] == "IN_PROGRESS"


def test_a_ready_task_has_its_place_and_what_workers_asked_for(fake: FakeCodeQ) -> None:
    fake.next(ids=[ID])
    fake.enqueue("RENDER")
    with fake.client() as http:
        http.post("/v1/codeq/tasks/claim", json={"commands": ["RENDERS"]})
    assert printed(fake, "task", ID).splitlines()[-2:] == [
        "  number 1 of 1 ready in its queue",
        "  last claim of worker-dev at 12:00:00: no RENDERS for dev; RENDER has 1 ready: a typo?",
    ]


def test_a_lease_can_be_ended_which_its_worker_does_not_see(fake: FakeCodeQ) -> None:
    told = printed(fake, "expire", leased(fake)).splitlines()
    assert "  12:00:00  lease ended by hand -> INPROG_SET" in told
    assert told[-2:] == [
        "  a heartbeat of worker-dev is still answered 200, which renews the lease only on Pebble (H3, P3)",
        f"  `codeq-fake take {ID}` takes it away at once",
    ]
    assert fake.task(ID).claimable["since"] == START


def test_a_lease_that_has_run_out_does_not_look_alive(fake: FakeCodeQ) -> None:
    leased(fake)
    fake.advance(61)
    for command in ("tasks", "task 6e0f", "top --times 1"):
        assert " over " in printed(fake, *command.split())


def test_a_task_can_be_taken_from_its_worker_which_sees_it_at_once(fake: FakeCodeQ) -> None:
    assert "lease expired -> DELAYED_ZSET" in printed(fake, "take", leased(fake)[:4])
    with fake.client() as http:
        assert http.post(f"/v1/codeq/tasks/{ID}/heartbeat", json={}).status_code == 403
    done = call(fake, "take", ID)
    assert (done.exit_code, done.stderr) == (1, f"codeq-fake: {fake.url}: task {ID} has no lease to take away\n")


@pytest.mark.parametrize("command", ["expire", "take"])
def test_the_only_leased_task_needs_no_id(fake: FakeCodeQ, command: str) -> None:
    done = call(fake, command)
    assert (done.exit_code, done.stderr) == (1, "codeq-fake: no task is leased\n")
    leased(fake)
    assert "lease ended by hand" in printed(fake, command)
    fake.requeue(ID)
    other = fake.enqueue("RENDER")
    with fake.client() as http:
        http.post("/v1/codeq/tasks/claim/batch", json={"commands": ["RENDER"], "count": 2})
    done = call(fake, command)
    both = f"{ID} (RENDER, IN_PROGRESS), {other.id} (RENDER, IN_PROGRESS)"
    told = f"codeq-fake: several tasks are leased, give the beginning of an id: {both}\n"
    assert (done.exit_code, done.stderr) == (2, told)


def test_a_task_can_be_put_back_and_deleted(fake: FakeCodeQ) -> None:
    assert "PENDING, PENDING_LIST" in printed(fake, "requeue", leased(fake))
    assert printed(fake, "delete", ID) == f"deleted: {ID}  RENDER  PENDING\n"
    assert fake.tasks() == []


def test_payloads_cannot_send_escape_sequences_to_the_terminal(fake: FakeCodeQ) -> None:
    fake.enqueue("[red]\x1b[2J")
    assert "[red]\ufffd[2J" in printed(fake, "tasks")


def test_payloads_cannot_begin_a_line(fake: FakeCodeQ) -> None:
    fake.enqueue(FORGED)
    task = fake.tasks()[0].id
    for arguments in (("tasks",), ("queues",), ("top", "--times", "1"), ("task", task), ("delete", task)):
        told = printed(fake, *arguments)
        assert "A\ufffd  12:00:00.000  completed by worker-9 -> NONE\ufffd[31m" in told.replace("a\ufffd", "A\ufffd")


def test_a_cut_list_says_that_there_may_be_more(fake: FakeCodeQ) -> None:
    for _ in range(3):
        fake.enqueue("A")
    done = call(fake, "tasks", "--limit", "2")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 3)
    assert done.stderr == "codeq-fake: these are the first 2; use --limit for more\n"
    assert len(as_json(fake, "tasks", "--limit", "2")["tasks"]) == 2


# The whole.


def test_queues_are_counted(fake: FakeCodeQ) -> None:
    assert printed(fake, "queues") == "no queues\n"
    leased(fake)
    fake.enqueue("RENDER", delay=30)
    head, row = printed(fake, "queues").splitlines()
    assert " ".join(head.split()) == "tenant command ready delayed in progress dead next due next lease end"
    assert row.split() == ["dev", "RENDER", "0", "1", "1", "0", "2026-01-31T12:00:30Z", "2026-01-31T12:00:59.001Z"]
    assert as_json(fake, "queues")["queues"][0]["inProgress"] == 1


def test_workers_are_listed_with_what_they_got(fake: FakeCodeQ) -> None:
    assert printed(fake, "workers") == "no workers\n"
    leased(fake)
    head, row = printed(fake, "workers").splitlines()
    assert " ".join(head.split()) == "worker tenant last claim commands it got leases refused"
    assert " ".join(row.split()) == f"worker-dev dev {START} RENDER got 1 1"


def test_top_shows_queues_leases_and_the_latest_requests(fake: FakeCodeQ) -> None:
    leased(fake)
    drawn = printed(fake, "top", "--times", "1")
    for part in (f"{fake.url}  profile kvrocks-2.8  manual clock at {START}", "0 parked claims", ID, "/tasks/claim"):
        assert part in drawn


def test_top_fetches_only_new_requests(fake: FakeCodeQ) -> None:
    leased(fake)
    looks = [
        json.loads(line) for line in printed(fake, "top", "--times", "3", "--interval", "0.1", "--json").splitlines()
    ]
    assert [[entry["n"] for entry in look["requests"]] for look in looks] == [[1]] * 3
    assert [task["id"] for task in looks[0]["leases"]] == [ID]
    assert looks[0]["health"]["clock"] == "manual"


def test_on_a_terminal_top_redraws_and_leaves_the_screen_before_an_error(
    fake: FakeCodeQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_module, "console", lambda: Console(force_terminal=True, width=100, height=30))
    entered, left = "\x1b[?1049h", "\x1b[?1049l"
    drawn = printed(fake, "top", "--times", "2", "--interval", "0.1")
    assert drawn.startswith(entered)
    assert drawn.endswith(left)
    assert drawn.count("2026-01-31 12:00:00 manual") == 2

    real_get, n = Fake.get, count()
    nowhere = Fake("http://127.0.0.1:1")
    monkeypatch.setattr(
        Fake, "get", lambda self, *path, **query: real_get(self if next(n) < A_LOOK else nowhere, *path, **query)
    )
    done = call(fake, "top", "--interval", "0.1")
    assert done.exit_code == 1
    assert done.output.index(left) < done.output.index("no reply from http://127.0.0.1:1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_signal_ends_top_in_a_pipe_as_ctrl_c_on_a_terminal(
    option: tuple[str, ...], number: signal.Signals, fake: FakeCodeQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_self: threading.Event, _interval: float) -> None:
        assert signal.getsignal(number) is not signal.SIG_DFL
        signal.raise_signal(number)

    monkeypatch.setattr(top_module, "Event", type("Interrupted", (), {"wait": interrupt}))
    assert "manual" in printed(fake, "top", *option)


# Time.


@pytest.mark.parametrize(
    ("duration", "now"),
    [
        ("90", "12:01:30"),
        ("1.5", "12:00:01.5"),
        ("250ms", "12:00:00.25"),
        ("2m", "12:02:00"),
        ("1h30m", "13:30:00"),
        ("0", "12:00:00"),
    ],
)
def test_the_clock_is_moved_by_a_duration(fake: FakeCodeQ, duration: str, now: str) -> None:
    assert printed(fake, "advance", duration).startswith(f"2026-01-31T{now}Z  +")
    assert fake.now == f"2026-01-31T{now}Z"


def test_the_clock_is_moved_to_a_time(fake: FakeCodeQ) -> None:
    fake.enqueue("RENDER", delay=60)
    moved = as_json(fake, "advance", "--to", "2026-02-01T00:00:00Z")
    assert (moved["now"], moved["digest"]) == ("2026-02-01T00:00:00Z", "+12 h: 1 delay due")


def test_the_clock_cannot_go_back(fake: FakeCodeQ) -> None:
    done = call(fake, "advance", "--to", "2026-01-31T11:00:00Z")
    assert (done.exit_code, done.stderr) == (
        1,
        f"codeq-fake: {fake.url}: time never goes back: it is {START}, and 2026-01-31T11:00:00Z is in the past\n",
    )


def test_the_clock_is_shown_let_run_and_stopped(fake: FakeCodeQ) -> None:
    assert re.fullmatch(rf"{START}  manual, \d+ d .*behind real\n", printed(fake, "clock"))
    assert as_json(fake, "clock", "--run")["mode"] == "real"
    assert as_json(fake, "clock", "--freeze") == {"now": fake.now, "mode": "manual"}


# Journals.


def test_a_journal_says_how_many_entries_it_has_dropped() -> None:
    with FakeCodeQ(now=START, journal_size=1) as fake, fake.serve(), fake.client() as http:
        for path in ("/a", "/b", "/c"):
            http.get(path)
        *_, last = printed(fake, "requests").splitlines()
        assert last == "2 older ones were dropped: see --journal-size and --journal-bytes"
        assert as_json(fake, "requests")["dropped"] == 2
        assert "dropped" not in printed(fake, "requests", "--since", "2")


def test_requests_are_listed_and_filtered(fake: FakeCodeQ) -> None:
    leased(fake)
    with fake.client() as http:
        http.get("/v1/codeq/tasks/gone")
    assert [line.split() for line in printed(fake, "requests").splitlines()] == [
        ["n", "at", "as", "method", "path", "status", "reason", "faults", "task", "command", "ms"],
        ["1", START, "worker-dev", "POST", "/v1/codeq/tasks/claim", "200", ID, "RENDER", "0"],
        ["2", START, "worker-dev", "GET", "/v1/codeq/tasks/gone", "404", *str(TaskNotFound()).split(), "0"],
    ]
    for arguments in (("--since", "1"), ("--last", "1"), ("--path", "gone"), ("--status", "404"), ("--status", "4xx")):
        assert [entry["n"] for entry in as_json(fake, "requests", *arguments)["requests"]] == [2]


@pytest.mark.parametrize(("command", "begins"), [("curl", "curl -i -X POST {url}"), ("pytest", "import pytest\n")])
def test_a_request_is_printed_as_a_command_and_as_a_test(fake: FakeCodeQ, command: str, begins: str) -> None:
    done = call(fake, command)
    assert (done.exit_code, done.stderr) == (1, "codeq-fake: no request was sent yet\n")
    leased(fake)
    told = printed(fake, command)
    assert told.startswith(begins.format(url=fake.url))
    assert told == printed(fake, command, "1")
    done = call(fake, command, "2")
    assert (done.exit_code, done.stderr) == (1, f"codeq-fake: {fake.url}: the journal has no request 2, or no longer\n")


def test_possible_secrets_in_a_url_are_only_in_json(fake: FakeCodeQ) -> None:
    url = "https://me:secret@app.example/done?token=secret"
    fake.enqueue("RENDER", webhook=url)
    with fake.client() as http:
        task = http.post("/v1/codeq/tasks/claim?key=secret", json={"commands": ["RENDER"]}).json()["id"]
        http.post(f"/v1/codeq/tasks/{task}/result", json={"status": "FAILED", "error": "torn"})
    fake.advance(0)
    assert "https://app.example/done  " in printed(fake, "callbacks")
    for arguments in (("callbacks",), ("requests",), ("top", "--times", "1")):
        assert "secret" not in printed(fake, *arguments)
    assert as_json(fake, "callbacks")["callbacks"][0]["url"] == url


def test_callbacks_are_listed_with_their_tries(fake: FakeCodeQ) -> None:
    fake.next(ids=[ID])
    fake.enqueue("RENDER", webhook="https://app.example/done")
    with fake.client() as http:
        http.post("/v1/codeq/tasks/claim", json={"commands": ["RENDER"]})
        http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "FAILED", "error": "torn"})
    fake.advance(0)
    _, row = printed(fake, "callbacks").splitlines()
    assert row.split()[:5] == ["1", "task_result", ID, "https://app.example/done", "blocked"]
    assert as_json(fake, "callbacks")["callbacks"][0]["state"] == "blocked"
    _, again = printed(fake, "resend", "1").splitlines()
    assert again.split()[:5] == ["2", *row.split()[1:5]]


def test_the_contract_is_listed_with_what_was_touched(fake: FakeCodeQ) -> None:
    with fake.client() as http:
        http.get("/metrics")
    rows = printed(fake, "contract").splitlines()[1:]
    assert [row.split()[:3] for row in rows if row.startswith("R17 ")] == [["R17", "exact", "1"]]
    untouched = [clause["id"] for clause in as_json(fake, "contract", "--untouched")["clauses"]]
    assert "R1" in untouched
    assert "R17" not in untouched


def test_what_changes_between_two_profiles_is_told_without_a_fake() -> None:
    command = ["contract", "--url", "http://127.0.0.1:1", "--from", "redis", "--to", "main/redis"]
    said = CliRunner().invoke(main, command)
    assert (said.exit_code, said.output.count("  v0.3.3/redis: "), said.output.count("  main/redis:   ")) == (0, 12, 12)
    assert (
        "G6 (changes N4, W1)\n  v0.3.3/redis: A dead letter sends no callback.\n  main/redis:   A NACK" in said.output
    )
    told = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)
    assert (told["from"], told["to"], told["changes"][0]["clause"]) == ("v0.3.3/redis", "main/redis", "W4")
    none = CliRunner().invoke(main, ["contract", "--from", "redis", "--to", "v0.3.3/redis"])
    assert none.output == "nothing changes from v0.3.3/redis to v0.3.3/redis\n"


def test_an_unknown_profile_is_refused_with_all_and_the_nearest() -> None:
    refused = CliRunner().invoke(main, ["contract", "--from", "mani/redis"])
    assert (refused.exit_code, "redis, kvrocks-2.8, " in refused.output) == (2, True)
    assert "'mani/redis' is not one of" in refused.output
    assert "did you mean main/redis?" in refused.output


# State.


def test_a_reset_empties_the_fake(fake: FakeCodeQ) -> None:
    leased(fake)
    assert printed(fake, "reset") == f"empty: profile kvrocks-2.8, manual clock at {START}\n"
    assert fake.tasks() == []


def test_the_state_goes_to_a_file_and_back(fake: FakeCodeQ, tmp_path: Path) -> None:
    leased(fake)
    state, file = fake.state(), tmp_path / "state.json"
    assert printed(fake, "state", "get", str(file)) == f"1 task in {file}\n"
    fake.reset()
    assert printed(fake, "state", "put", str(file)) == f"restored: profile kvrocks-2.8, manual clock at {START}\n"
    assert fake.state() == state


def test_the_state_goes_through_a_pipe(fake: FakeCodeQ) -> None:
    leased(fake)
    state = printed(fake, "state", "get")
    assert json.loads(state) == as_json(fake, "state", "get") == fake.state()
    fake.reset()
    assert call(fake, "state", "put", "-", input=state).exit_code == 0
    assert fake.state() == json.loads(state)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "state.json: not JSON ("), ('{"tasks": 1}', "unknown: tasks"), ("{}", "no state that this release reads")],
)
def test_an_invalid_state_is_refused(fake: FakeCodeQ, tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text, encoding="utf-8")
    leased(fake)
    done = call(fake, "state", "put", str(file))
    assert done.exit_code == 2
    assert reason in done.stderr
    assert len(fake.tasks()) == 1


def test_a_state_that_cannot_be_written_is_an_error(fake: FakeCodeQ, tmp_path: Path) -> None:
    done = call(fake, "state", "get", str(tmp_path / "nowhere" / "state.json"))
    assert done.exit_code == 1
    assert done.stderr.endswith("state.json: No such file or directory\n")


# What goes wrong: cause and remedy in one line.


def test_an_unknown_task_is_an_error_with_a_hint(fake: FakeCodeQ) -> None:
    for command in ("task", "expire", "take", "requeue", "delete"):
        done = call(fake, command, "a?b c")
        assert (done.exit_code, done.stderr) == (
            1,
            f"codeq-fake: {fake.url}: no task a?b c; `codeq-fake tasks` lists all tasks\n",
        )


def test_without_a_fake_the_error_says_how_to_start_one() -> None:
    with listen("127.0.0.1", 0) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, said = refused("tasks", "--url", url)
    assert code == 1
    assert said.startswith(f"codeq-fake: no reply from {url} (")
    assert said.endswith("start a fake with `codeq-fake serve`, or give its URL with --url or CODEQ_BASE_URL\n")


def test_a_server_that_is_not_a_fake_is_an_error() -> None:
    with listen("127.0.0.1", 0) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n404 page not found")
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        code, said = refused("reset", CODEQ_BASE_URL=url)
        thread.join()
    assert code == 1
    assert f"{url[:-1]} has no control API of a CodeQ fake: it answers 404 '404 page not found'; the real" in said


@pytest.mark.parametrize("url", ["nonsense", "ftp://a", "http://a:x"])
def test_an_invalid_url_is_misuse(url: str) -> None:
    code, said = refused("clock", "--url", url)
    assert (code, said) == (
        2,
        f"codeq-fake: {url!r} is not a URL; give one such as http://127.0.0.1:8080 with --url\n",
    )


def test_a_missing_token_is_an_error_with_a_hint() -> None:
    with FakeCodeQ(control_token="open") as fake, fake.serve():
        done = call(fake, "tasks")
        assert done.exit_code == 1
        assert done.stderr == (
            f"codeq-fake: {fake.url}: the control API of this fake needs its bearer token; "
            "give it with --control-token or CODEQ_FAKE_CONTROL_TOKEN\n"
        )
        assert printed(fake, "tasks", "--control-token", "open") == "no tasks\n"


def test_a_wrong_token_has_another_error_than_a_missing_one() -> None:
    with FakeCodeQ(control_token="open") as fake, fake.serve():
        assert call(fake, "tasks", "--control-token", "opn").stderr == (
            f"codeq-fake: {fake.url}: this is not the bearer token of this fake's control API; "
            "give it with --control-token or CODEQ_FAKE_CONTROL_TOKEN\n"
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ("advance",),
        ("advance", "1", "--to", START),
        ("advance", "soon"),
        ("advance", "1x"),
        ("clock", "--freeze", "--run"),
        ("tasks", "x"),
    ],
)
def test_invalid_arguments_are_misuse(arguments: tuple[str, ...]) -> None:
    assert refused(*arguments)[0] == 2


# Servers and users that send something else.

CALLS = (
    *("tasks", "queues", "workers", "requests", "callbacks", "surprises", "contract", "clock", "reset"),
    *("task x", "expire x", "take x", "requeue x", "delete x", "advance 1", "top --times 1"),
    *("resend 1", "curl", "pytest 1"),
    *("faults list", "faults clear", "faults remove 1", "faults add {do:\\ hang}", "state save", "state get"),
)
LISTS = ("tasks", "queues", "workers", "requests", "callbacks", "surprises", "clauses", "faults", "history")
SHAPES: tuple[Any, ...] = (
    {},
    dict.fromkeys(LISTS, 7),
    {name: [7] for name in LISTS},
    {name: [{}] for name in LISTS},
    {"now": "\x1b[31m", "mode": [], "callback": {"tries": "x"}, "broker": None, "fired": "\ud800", "file": {}},
)


@pytest.mark.parametrize("call", CALLS)
def test_json_of_another_shape_is_reported_without_a_traceback(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in SHAPES:
        reply = httpx.Response(200, text=json.dumps(shape))
        monkeypatch.setattr(httpx.Client, "request", lambda *_, reply=reply, **__: reply)
        done = CliRunner().invoke(main, [*shlex.split(call), "--url", "http://me:secret@a.test"])
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        assert "\x1b" not in done.output
        if done.exit_code:
            assert done.stderr == "codeq-fake: http://a.test does not answer as a CodeQ fake of this version does\n"


@pytest.mark.parametrize("defect", [KeyError, TypeError, ValueError])
def test_a_defect_of_a_command_is_not_blamed_on_the_fake(
    fake: FakeCodeQ, monkeypatch: pytest.MonkeyPatch, defect: type[Exception]
) -> None:
    def row(_: object) -> None:
        raise defect

    fake.enqueue("A")
    monkeypatch.setattr(tasks_module, "_row", row)
    assert isinstance(call(fake, "tasks").exception, defect)


@pytest.mark.parametrize("token", ["é", "\udce9", "日本"])
def test_a_control_token_may_have_any_characters(token: str) -> None:
    with FakeCodeQ(now=START, control_token=token) as fake, fake.serve():
        assert call(fake, "clock", "--control-token", token).stdout.startswith(f"{START}  manual")
        done = call(fake, "clock", "--control-token", "ü")
        assert (done.exit_code, "not the bearer token" in done.stderr) == (1, True)


def test_a_control_token_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    for command in ("clock", "serve"):
        code, said = refused(command, "--control-token", "secret\nx")
        assert (code, "it has a character that no HTTP header can carry" in said, "secret" in said) == (2, True, False)


def test_an_argument_in_another_encoding_is_refused(fake: FakeCodeQ) -> None:
    for arguments in (("task", "\udce9"), ("tasks", "--tenant", "\udce9"), ("advance", "--to", "\udce9")):
        done = call(fake, *arguments)
        assert done.exit_code == 2
        assert done.stderr.startswith("codeq-fake: an argument is not text in the encoding of this session")


def test_the_password_of_a_url_is_not_printed() -> None:
    for url in ("http://me:secret@127.0.0.1:1", "http://me:secret@a:x", "me:secret@a"):
        code, said = refused("clock", "--url", url)
        assert code in (1, 2)
        assert "secret" not in said


def test_an_error_of_a_server_cannot_send_escape_sequences_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = httpx.Response(409, json={"error": "no\x1b[2J\ncodeq-fake: forged"})
    monkeypatch.setattr(httpx.Client, "request", lambda *_, **__: reply)
    assert refused("clock", "--url", "http://a.test") == (
        1,
        "codeq-fake: http://a.test: no\ufffd[2J\ufffdcodeq-fake: forged\n",
    )
