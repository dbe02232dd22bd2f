"""The command `codeq-contract` with files, tokens and signals that it does not expect."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codeq_contract.cli import main
from codeq_contract.driver.targets import without_password
from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.shipped import FOLDER

RECORDING = FOLDER / "v0.3.3" / "kvrocks-2.8" / "abandon.jsonl.gz"
LINES = gzip.decompress(RECORDING.read_bytes()).decode().splitlines()
#: Values of other types, in the place of a value of a recording's header.
VALUES: tuple[Any, ...] = (None, [], "x", {"a": 1})


@pytest.mark.parametrize("command", ["check", "replay", "diff"])
@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "7", "null", '{"cases": [1]}', '{"clauses": {"A1": 7}}', "[" * 100_000]
)
def test_a_file_of_another_shape_is_refused_without_a_traceback(tmp_path: Path, command: str, text: str) -> None:
    file = tmp_path / "file"
    file.write_text(text, encoding="utf-8")
    done = CliRunner().invoke(main, [command, *[str(file)] * (2 if command == "diff" else 1)])
    assert isinstance(done.exception, SystemExit), repr(done.exception)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["profile", "settings", "yaml", "static", "identities"])
def test_a_recording_with_a_value_of_another_type_is_checked_or_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "recording.jsonl"
    for value in VALUES:
        header = json.dumps({**json.loads(LINES[0]), name: value})
        file.write_text("\n".join([header, *LINES[1:4]]), encoding="utf-8")
        for command in ("check", "replay"):
            done = CliRunner().invoke(main, [command, str(file)])
            assert isinstance(done.exception, SystemExit | None), (command, value, repr(done.exception))


@pytest.mark.parametrize("token", ["é", "a\nb"])
def test_a_token_that_a_header_cannot_carry_is_refused_without_showing_it(tmp_path: Path, token: str) -> None:
    arguments = ["--url", "http://a.test", "--target", "url", "--worker-token", "w"]
    done = CliRunner().invoke(
        main, ["load", *arguments, "--producer-token", f"secret{token}", "--out", str(tmp_path / "o")]
    )
    assert (done.exit_code, done.output) == (
        2,
        "Error: the token of producer has a character that is not printable ASCII\n",
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@a.test:80/x", "http://a.test:80/x"),
        ("http://a.test/x@y", "http://a.test/x@y"),
        ("me:secret@a", "a"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


#: It exits with 10 + how often it got a signal.
COMMAND_OF_RECORD = """
import signal, sys, time
numbers = []
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *got: (numbers.append(got[0]), print("got it", flush=True)))
print("ready", flush=True)
while not numbers:
    signal.pause()
time.sleep(float(sys.argv[1]))  # it has something to finish
sys.exit(10 + len(numbers))
"""


def others_of_group(group: int) -> list[int]:
    """The processes of a group without its leader."""
    stats = [file.read_text(encoding="utf-8").rpartition(")") for file in Path("/proc").glob("[0-9]*/stat")]
    of_group = [int(name.split()[0]) for name, _, rest in stats if int(rest.split()[2]) == group]
    return [number for number in of_group if number != group]


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_the_group", [False, True], ids=["the process", "its group"])
def test_a_signal_to_the_recorder_reaches_its_command_once_and_leaves_the_recording(
    tmp_path: Path, number: signal.Signals, *, to_the_group: bool
) -> None:
    command = [str(Path(sys.executable).with_name("codeq-contract")), "record", "--url", "http://127.0.0.1:1"]
    lasts = "1" if to_the_group else "0"  # so long that the recorder has had its signal
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out.jsonl"), "--", sys.executable, "-c", COMMAND_OF_RECORD, lasts],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for member in others_of_group(process.pid) if to_the_group else ():
            os.kill(member, number)
        assert not to_the_group or process.stdout.readline() == "got it\n"
        process.send_signal(number)  # the last of its group: two signals at the same moment would be one
        assert process.wait(20) == 11
    assert read_recording(tmp_path / "out.jsonl").header.name == "out"
