"""What a server's metrics say (L2)."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from .case_context import CaseContext


def metric(contract: CaseContext, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The samples of that name with these labels, by the values of their other labels in the order of these."""
    return {
        tuple(value for label, value in sorted(sample.labels.items()) if label not in labels): sample.value
        for family in text_string_to_metric_families(contract.anonymous.get("/metrics").text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    }
