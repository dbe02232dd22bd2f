"""A few seconds of the soak, and that it calls a problem what is one."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.soak.hostile import Hostile
from tests.soak.probe import Probe, probe
from tests.soak.soak import soak
from tests.soak.sound import Sound
from tests.soak.verdict import LONGEST_PROBE, Report

MB = 1024 * 1024


@pytest.mark.process
@pytest.mark.slow(seconds=10)
@pytest.mark.skipif(sys.platform != "linux", reason="reads the figures of the server from /proc")
def test_a_short_soak_finds_no_problem() -> None:
    report = asyncio.run(soak(8, seed=1))
    print("\n".join(report.figures()))
    assert report.problems() == []
    # Each kind of client has come to its end at least once.
    clients = [*Sound("", Counter(), []).clients, *Hostile("", 0, random.Random(), Counter()).clients]
    assert set(report.counts) == {client.__name__ for client in clients}


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_a_server_that_stands_still_is_to_blame_and_not_the_machine() -> None:
    command = [str(Path(sys.executable).with_name("codeq-fake")), "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        host, _, port = json.loads(server.stdout.readline())["url"].removeprefix("http://").rpartition(":")
        server.send_signal(signal.SIGSTOP)
        again = threading.Timer(3, server.send_signal, [signal.SIGCONT])
        again.start()
        slow = probe(host, int(port), server.pid)
        again.join()
        server.terminate()
    assert slow.problem == ""
    assert slow.answered_after > LONGEST_PROBE


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"wrong": ["work: 500"]}, "a sound client: work: 500"),
        ({"stderr": "Traceback (most recent call last):"}, "the server wrote: Traceback (most recent call last):"),
        ({"probes": [Probe(0.01), Probe(1.5)]}, "a probe took 1.50 s"),
        ({"probes": [Probe(5.5, waited=4.8)]}, ""),
        ({"probes": [Probe(5.5, waited=4.2)]}, "a probe took 1.30 s"),
        ({"probes": [Probe(0.01, problem="probe: 500")]}, "probe: 500"),
        ({"probes": []}, "no probe was answered"),
        ({"memory": [50 * MB, 100 * MB]}, "memory grew from 52,428,800 to 104,857,600 bytes"),
        ({"descriptors": [14, 300, 100]}, "100 descriptors are open, 14 were before"),
        ({"exit_code": -9}, "the server ended with -9"),
    ],
)
def test_a_problem_is_called_one(change: dict[str, Any], problem: str) -> None:
    good: dict[str, Any] = {
        "probes": [Probe(0.01)],
        "memory": [50 * MB, 60 * MB],
        "descriptors": [14, 300, 14],
        "exit_code": 0,
    }
    assert Report(**good | change).problems() == ([problem] if problem else [])
