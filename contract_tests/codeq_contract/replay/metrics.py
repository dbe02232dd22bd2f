"""The part of a `/metrics` page that the contract describes."""  # L2

from __future__ import annotations

import re

_CONTRACTED = re.compile(r"(?:# (?:HELP|TYPE) )?codeq_")
_HISTOGRAM_SUM = re.compile(r"codeq_\w+_seconds_sum\b")


def contracted_lines(page: str) -> list[str]:
    """The lines of the `codeq_` families, without the histograms' sums: these add up latencies."""
    return [line for line in page.splitlines() if _CONTRACTED.match(line) and not _HISTOGRAM_SUM.match(line)]


def subject_of(line: str) -> str:
    """What a line of a page is about: a sample's name and labels, or the comment's kind and family."""
    return line.rpartition(" ")[0] if not line.startswith("#") else " ".join(line.split(" ", 3)[1:3])
