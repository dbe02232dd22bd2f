"""The guide to simulations: its worker fails as the guide says, and does not with the key that it gives."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from codeq_fake.simulation.decorator import ATTRIBUTE

if TYPE_CHECKING:
    from codeq_fake.simulation.search import Simulation

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "simulate-your-workers.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", GUIDE, re.DOTALL))
CHARGE = 'charge(order, task=task["id"])'


def simulation(monkeypatch: pytest.MonkeyPatch, worker: str) -> Simulation:
    """The test of the guide, with this worker."""
    for name, text in {**FILES, "shop": worker}.items():
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)  # noqa: S102 - the guide's own code
    test = sys.modules["test_shop"].test_orders_are_charged_once
    found: Simulation = getattr(test, ATTRIBUTE)
    return found


@pytest.mark.slow
def test_the_worker_of_the_guide_charges_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    found = simulation(monkeypatch, FILES["shop"])
    failure = found.first_failure(found.seeds)
    assert failure is not None
    assert re.match(r"charge of \d+ was done \d times:\n  \d+ by worker-\d at .* without a key", str(failure.error))


@pytest.mark.slow
def test_the_key_of_the_guide_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (keyed,) = re.findall(r"```python\n(charge\(.*\))\n```", GUIDE)
    assert FILES["shop"].count(CHARGE) == 1
    mended = simulation(monkeypatch, FILES["shop"].replace(CHARGE, keyed))
    assert mended.first_failure(range(2)) is None
