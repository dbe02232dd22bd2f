"""The state file: restored at the start, saved at the end and on demand."""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.cli.support import refused, run, serving
from tests.in_process.support import wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

START = "2026-01-31T12:00:00Z"
MANUAL = ("--clock", "manual", "--start-at", START)
TASKS = "/v1/codeq/tasks"
CLAIM = "/v1/codeq/tasks/claim"
TASK = {"command": "A", "payload": {"n": 1}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_fake_continues_from_its_saved_state(file: Path, number: signal.Signals) -> None:
    with serving("--persist", str(file), *MANUAL, "--profile", "redis") as server:
        task = server.post(TASKS, TASK).json()
        server.post(CLAIM, {"commands": ["A"], "leaseSeconds": 60})
        server.post("/_fake/clock/advance", {"seconds": 30})
        state = server.get("/_fake/state").json()
        assert server.stop(number) == (0, "")
    with serving("--persist", str(file), *MANUAL) as server:
        assert "profile redis  manual clock at 2026-01-31T12:00:30Z" in server.line
        assert server.get("/_fake/state").json() == state
        assert server.get(f"{TASKS}/{task['id']}").json()["leaseUntil"] == "2026-01-31T12:01:00Z"
        code, said = server.stop(number)
    assert code == 0
    assert f"{file} has a state of the profile redis, which this fake takes on in place of kvrocks-2.8; to use" in said


def test_the_state_is_also_saved_on_demand(file: Path) -> None:
    with serving("--persist", str(file), *MANUAL) as server:
        server.post(TASKS, TASK)
        done = run("state", "save", CODEQ_BASE_URL=server.url)
        assert (done.returncode, done.stdout) == (0, f"1 task in {file}\n")
        assert json.loads(file.read_text(encoding="utf-8")) == server.get("/_fake/state").json()
        server.process.kill()


def test_what_was_saved_at_the_interval_outlives_a_crash(file: Path) -> None:
    with serving("--persist", str(file), "--persist-interval", "0.02", *MANUAL) as server:
        task = server.post(TASKS, TASK).json()
        wait_for(lambda: task["id"] in file.read_text(encoding="utf-8"))
        server.process.kill()
    with serving("--persist", str(file), *MANUAL) as server:
        assert server.get(f"{TASKS}/{task['id']}").status_code == 200


def test_an_interval_that_fails_to_save_is_reported_and_the_next_one_saves(file: Path) -> None:
    with serving("--persist", str(file), "--persist-interval", "0.02", *MANUAL) as server:
        file.unlink()
        file.mkdir()
        assert server.process.stderr is not None
        assert server.process.stderr.readline() == f"codeq-fake: {file} cannot be written: Is a directory\n"
        file.rmdir()
        wait_for(file.exists)
        server.process.kill()


def test_an_interval_without_a_file_is_refused() -> None:
    message = "codeq-fake: --persist-interval needs --persist FILE\n"
    assert refused("serve", "--persist-interval", "1") == (2, message)


def test_a_fake_without_a_file_says_how_to_get_one() -> None:
    with FakeCodeQ() as fake, fake.client() as http:
        reply = http.post("/_fake/persist")
    assert reply.status_code == 409
    assert reply.json() == {"error": "this fake has no state file; start it with --persist FILE"}


def test_on_a_real_clock_the_time_between_has_passed(file: Path) -> None:
    """Who waits for a lease or a delay waits for a time of day: it comes whether the fake runs or not."""
    with FakeCodeQ(clock="real", now="2020-01-31T12:00:00Z") as fake:
        fake.enqueue("A", delay=3600)
        file.write_text(json.dumps(fake.state()), encoding="utf-8")
    with serving("--persist", str(file), "--json") as server:
        assert server.told["now"] > "2026"
        assert server.post(CLAIM, {"commands": ["A"]}).status_code == 200


def test_a_real_clock_that_was_advanced_stays_ahead(file: Path) -> None:
    with FakeCodeQ(now="2090-01-31T12:00:00Z") as fake:
        file.write_text(json.dumps(fake.state()), encoding="utf-8")
    with serving("--persist", str(file), "--json") as server:
        assert server.told["now"].startswith("2090-01-31T12:00:0")


def test_run_restores_and_saves_the_state(file: Path) -> None:
    for _ in range(2):
        # Within `run` the environment says where the fake is.
        assert run("run", "--persist", str(file), "--", "sh", "-c", "exit 3").returncode == 3
    assert json.loads(file.read_text(encoding="utf-8"))["broker"]["tasks"] == []


def test_a_new_file_is_private_and_an_old_one_keeps_its_mode(file: Path) -> None:
    assert run("run", "--persist", str(file), "--", "true").returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    assert run("run", "--persist", str(file), "--", "true").returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [found.name for found in file.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is damaged, or no state of a fake: no JSON ("),
        (b'{"profile": "redis", "now"', "is damaged, or no state of a fake: no JSON ("),
        (b"\xff\xfe", "); move it away to start with an empty state"),
        (
            b"[1]",
            "no state that this release reads: found version None, 1 is known; move it away",
        ),
        (b'{"name": "my-app", "version": 1}', "no state that this release reads"),
        (b'{"profile": "redis", "now": "x", "broker": {"version": 1}}', "no state of a fake: broker: found {'"),
    ],
)
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["run", "true"]])
def test_a_damaged_or_foreign_file_is_an_error_and_unchanged(
    file: Path, text: bytes, reason: str, command: list[str]
) -> None:
    file.write_bytes(text)
    code, said = refused(command[0], "--persist", str(file), *command[1:])
    assert code == 2
    assert said.startswith(f"codeq-fake: {file}")
    assert reason in said
    assert file.read_bytes() == text


def test_an_unwritable_file_is_an_error_before_anything_is_served(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "state.json"
    code, said = refused("run", "--persist", str(file), "echo", "never")
    assert (code, said) == (1, f"codeq-fake: {file} cannot be written: No such file or directory\n")
    code, said = refused("run", "--persist", str(tmp_path), "echo", "never")
    assert (code, said) == (
        2,
        f"codeq-fake: {tmp_path} is not a regular file; name one, or one that is not there yet\n",
    )


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """A device or a pipe need not end, nor begin."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for no_file in (str(pipe), "/dev/full"):
        code, said = refused("run", "--persist", no_file, "echo", "never")
        assert code == 2
        assert said.startswith(f"codeq-fake: {no_file} is not a regular file; ")


def test_two_fakes_cannot_share_a_state_file(file: Path) -> None:
    link = file.with_name("link.json")
    link.symlink_to(file)
    with serving("--persist", str(file), *MANUAL) as server:
        for name in (file, link):
            code, said = refused("run", "--persist", str(name), "echo", "never")
            reason = f"{name} is in use by another fake; end that one, or name another file"
            assert (code, said) == (1, f"codeq-fake: {reason}\n")
        server.post(TASKS, TASK)
        assert server.stop() == (0, "")
    assert [task["command"] for task in json.loads(file.read_text(encoding="utf-8"))["broker"]["tasks"]] == ["A"]


def test_a_killed_fake_does_not_lock_its_file(file: Path) -> None:
    with serving("--persist", str(file), *MANUAL) as server:
        server.process.kill()
    assert run("run", "--persist", str(file), "true").returncode == 0
    assert [found.name for found in file.parent.iterdir()] == ["state.json"]
