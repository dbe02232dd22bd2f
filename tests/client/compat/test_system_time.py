"""Canary for `_compat.system_time`: the clock that counts while the machine is suspended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codeq_client._compat import system_time


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/uptime")
def test_on_linux_it_counts_from_the_start_of_the_machine_including_suspensions() -> None:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert system_time.since_boot() == pytest.approx(uptime, abs=5), (
        "CLOCK_BOOTTIME is not the time since boot: leases would outlive a suspension of the machine"
    )


def test_without_such_a_clock_it_is_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    before = system_time.since_boot()
    monkeypatch.setattr(system_time, "_CLOCK", None)
    assert system_time.since_boot() > 0
    monkeypatch.undo()
    assert system_time.since_boot() >= before, "it went back"
