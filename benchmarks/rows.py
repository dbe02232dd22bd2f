"""The rows of the table of benchmarks, each with its target."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `value` is None where it could not be measured; `remark` then says why."""

    what: str
    value: float | None
    unit: str
    target: str
    met: bool | None
    remark: str = ""
    more_is_better: bool = True


def at_least(bound: float, what: str, value: float, unit: str = "", *, remark: str = "") -> Row:
    """A row with a value that should be `bound` or more."""
    return Row(what, value, unit, f"at least {_number(bound)}{unit}", value >= bound, remark)


def under(bound: float, what: str, value: float, unit: str = "", *, remark: str = "") -> Row:
    """A row with a value that should be below `bound`."""
    return Row(what, value, unit, f"under {_number(bound)}{unit}", value < bound, remark, more_is_better=False)


def skipped(what: str, target: str, why: str) -> Row:
    """A row that cannot be measured here."""
    return Row(what, None, "", target, None, why)


def table(rows: Iterable[Row]) -> Table:
    """The rows as a table in Markdown's form."""
    table = Table("what", "target", box=box.MARKDOWN)
    table.add_column("measured", justify="right")
    table.add_column("met")
    table.add_column("remark")
    for row in rows:
        measured = f"{_number(row.value)}{row.unit}" if row.value is not None else "skipped"
        table.add_row(row.what, row.target, measured, {True: "yes", False: "no", None: ""}[row.met], row.remark)
    return table


def machine() -> str:
    """The machine and what ran on it, in one line."""
    served_by = ", ".join(f"{name} {version(name)}" for name in ("starlette", "uvicorn"))
    return (
        f"{os.cpu_count()} cores of {_processor()}, {platform.system()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {served_by}"
    )


def as_json(rows: Iterable[Row], yardstick: float) -> dict[str, Any]:
    """The rows as JSON, with the machine and the seconds of its yardstick."""
    return {"machine": machine(), "yardstick": yardstick, "rows": [asdict(row) for row in rows]}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _number(value: float) -> str:
    """Three significant digits, with separators between thousands."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
