"""Compares the page of metrics with the recorded one, sample by sample (L2)."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from codeq_contract.recordings.times import SECOND

from .allowed_differences import LATENCY
from .mismatches import ABSENT, Mismatch, spelling_mismatch

#: L2: the contract describes the `codeq_` families. The sums of histograms add up latencies, so they differ.
_CONTRACTED = re.compile(r"(?:# (?:HELP|TYPE) )?codeq_")
_HISTOGRAM_SUM = re.compile(r"codeq_\w+_seconds_sum\b")
_BUCKET = re.compile(r'(codeq_\w+_seconds_bucket\{.*)le="([^"]+)"\}')


def metrics_mismatches(theirs: str, ours: str, lateness: int) -> Iterator[Mismatch]:
    """The samples and comments that differ.

    A replay in real time, late by up to `lateness` nanoseconds, may have counted a latency in a neighbouring bucket.
    """
    their_lines, our_lines = _contracted_lines(theirs), _contracted_lines(ours)
    their_samples = {_subject_of(line): line for line in their_lines}
    our_samples = {_subject_of(line): line for line in our_lines}
    if their_samples == our_samples and their_lines != our_lines:
        yield spelling_mismatch("\n".join(their_lines), "\n".join(our_lines))
    buckets = _buckets(their_samples) if lateness else {}
    for subject in dict.fromkeys((*their_samples, *our_samples)):
        left, right = their_samples.get(subject, ABSENT), our_samples.get(subject, ABSENT)
        if left != right and not (right != ABSENT and _in_a_neighbouring_bucket(buckets, subject, right, lateness)):
            yield (subject, left, right)


@dataclass(slots=True)
class _Buckets:
    """The buckets of one histogram: their upper bounds (s), in their order, and how many latencies each one has."""

    bounds: list[float] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)

    def counts_about(self, bound: float, leeway: float) -> tuple[float, float]:
        """The fewest and the most latencies up to `bound` if each one were shorter or longer by up to `leeway`."""
        last_below, first_above = (
            bisect_right(self.bounds, bound - leeway) - 1,
            bisect_left(self.bounds, bound + leeway),
        )
        return (self.counts[last_below] if last_below >= 0 else 0), self.counts[first_above]


def _buckets(samples: Mapping[str, str]) -> Mapping[str, _Buckets]:
    """All histograms of latencies, by their names and labels."""
    histograms: defaultdict[str, _Buckets] = defaultdict(_Buckets)
    for subject, line in samples.items():
        if bucket := _BUCKET.fullmatch(subject):
            histograms[bucket[1]].bounds.append(float(bucket[2]))
            histograms[bucket[1]].counts.append(_value_of(line))
    return histograms


def _in_a_neighbouring_bucket(buckets: Mapping[str, _Buckets], subject: str, ours: str, lateness: int) -> bool:
    """Whether lateness alone explains what a bucket of a histogram has counted."""
    bucket = _BUCKET.fullmatch(subject)
    if bucket is None or bucket[1] not in buckets:
        return False
    fewest, most = buckets[bucket[1]].counts_about(float(bucket[2]), (LATENCY + lateness) / SECOND)
    return fewest <= _value_of(ours) <= most


def _contracted_lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if _CONTRACTED.match(line) and not _HISTOGRAM_SUM.match(line)]


def _subject_of(line: str) -> str:
    """The name and labels of a sample, or the kind and family of a comment."""
    return line.rpartition(" ")[0] if not line.startswith("#") else " ".join(line.split(" ", 3)[1:3])


def _value_of(line: str) -> float:
    return float(line.rpartition(" ")[2])
