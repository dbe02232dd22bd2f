"""Recordings of the real server, replayed on a fake on a port through its control API, and without signed tokens.

The level `recorded` of the suite replays all of them on a fake in process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.shipped import FOLDER
from codeq_contract.replay.player import replay
from codeq_contract.replay.servers import InProcessTarget, Target, UrlTarget
from tests.replay.stream_transport import StreamTransport

pytestmark = pytest.mark.slow

FILES = sorted(FOLDER.glob("v0.3.3/*/*.jsonl.gz"))
#: What differs on a port: targets, bodies that are no text, callbacks and long polls.
ON_A_PORT = [
    FOLDER / "v0.3.3" / "redis" / f"{name}.jsonl.gz"
    for name in ("callback_redirect", "claim_long_poll", "payloads", "redirects", "seed_story", "surface", "trace_5")
]
AUTHENTICATION = [file for file in FILES if file.name.startswith("auth")]


def name(file: Path) -> str:
    return f"{file.parent.name}/{file.name.removesuffix('.jsonl.gz')}"


def assert_no_difference(file: Path, target: Target) -> None:
    differences = replay(read_recording(file), target)
    assert not differences, "\n\n".join(str(difference) for difference in differences)


@pytest.fixture(scope="module")
def fake_on_a_port() -> Iterator[UrlTarget]:
    command = [str(Path(sys.executable).with_name("codeq-fake")), "serve", "--port", "0", "--clock", "manual", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        yield UrlTarget(url, transport=StreamTransport(url))
        server.terminate()


@pytest.mark.process
@pytest.mark.parametrize("file", ON_A_PORT, ids=name)
def test_a_fake_on_a_port_answers_as_the_real_server_did(file: Path, fake_on_a_port: UrlTarget) -> None:
    assert_no_difference(file, fake_on_a_port)


@pytest.mark.parametrize("file", AUTHENTICATION, ids=name)
def test_named_identities_are_treated_like_signed_tokens(file: Path) -> None:
    assert_no_difference(file, InProcessTarget())
