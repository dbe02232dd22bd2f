"""What a server's metrics say (L2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .case_context import CaseContext

if TYPE_CHECKING:
    from prometheus_client.samples import Sample


def metric(contract: CaseContext, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The samples of that name with these labels, by the values of their other labels in the order of these.

    Only their lines are parsed: at the end of a run, that of all lines takes a thousand times as long.
    """
    lines = contract.anonymous.get("/metrics").text.split("\n")
    return {
        tuple(value for label, value in sorted(sample.labels.items()) if label not in labels): sample.value
        for sample in _samples("\n".join(line for line in lines if line.startswith(name)))
        if sample.name == name and labels.items() <= sample.labels.items()
    }


def names_of_metrics(contract: CaseContext) -> set[str]:
    """The names of all samples. Raises ValueError if a line is none."""
    return {sample.name for sample in _samples(contract.anonymous.get("/metrics").text)}


def _samples(text: str) -> Iterable[Sample]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - slow, and few cases need it

    return (sample for family in text_string_to_metric_families(text) for sample in family.samples)
