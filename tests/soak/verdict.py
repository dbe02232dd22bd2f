"""What a soak measured, and what of it is a problem."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.soak.probe import Probe

#: The longest that the server may take to answer a probe (s).
LONGEST_PROBE = 1.0

#: How much memory may grow from the end of the warm-up to the end: a part of it, and a number of bytes on top.
GROWTH, GROWTH_BYTES = 0.1, 16 * 1024 * 1024

#: How many descriptors more than before the soak may be open after it: a few connections are still closing.
MORE_DESCRIPTORS = 10


@dataclass(slots=True)
class Report:
    """The figures of one soak. Times are in seconds, sizes in bytes."""

    seconds: float = 0.0
    #: What was done -> how often.
    counts: Counter[str] = field(default_factory=Counter)
    #: What sound clients missed: replies that were lost or wrong.
    wrong: list[str] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    #: Open descriptors: before the soak, at most, and after it.
    descriptors: list[int] = field(default_factory=list)
    stderr: str = ""
    exit_code: int | None = None

    def figures(self) -> list[str]:
        """The figures, a line each."""
        probes = sorted(probe.answered_after for probe in self.probes) or [0.0]
        waited = max((probe.waited for probe in self.probes), default=0.0)
        done = ", ".join(f"{name} {count:,}" for name, count in sorted(self.counts.items()))
        before, most, after = (self.descriptors[0], max(self.descriptors), self.descriptors[-1])
        first, last = self.memory[0] >> 20, self.memory[-1] >> 20
        median, longest = (1000 * probe for probe in (probes[len(probes) // 2], probes[-1]))
        return [
            f"{self.seconds:.0f} s: {done}",
            f"probes: {len(self.probes)}, median {median:.1f} ms, longest {longest:.0f} ms",
            f"waiting for a processor, not counted in a probe: at most {1000 * waited:.0f} ms",
            f"memory: {first} MB after the warm-up, {last} MB at the end",
            f"descriptors: {before} before, {most} at most, {after} after",
        ]

    def problems(self) -> list[str]:
        """What is not as it should be; empty after a good soak."""
        found = [f"a sound client: {what}" for what in self.wrong[:20]]
        found += [probe.problem for probe in self.probes if probe.problem][:20]
        if "Traceback" in self.stderr or "Error" in self.stderr:
            found.append(f"the server wrote: {self.stderr[:20_000]}")
        longest = max((probe.answered_after for probe in self.probes), default=0.0)
        if longest > LONGEST_PROBE:
            found.append(f"a probe took {longest:.2f} s")
        if not self.probes:
            found.append("no probe was answered")
        if self.memory[-1] > self.memory[0] * (1 + GROWTH) + GROWTH_BYTES:
            found.append(f"memory grew from {self.memory[0]:,} to {self.memory[-1]:,} bytes")
        if self.descriptors[-1] > self.descriptors[0] + MORE_DESCRIPTORS:
            found.append(f"{self.descriptors[-1]} descriptors are open, {self.descriptors[0]} were before")
        if self.exit_code != 0:
            found.append(f"the server ended with {self.exit_code}")
        return found
