"""The guide to testing asynchronous code: each of its examples passes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.support import Run

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "testing-async.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_passes(example: str, run: Run) -> None:
    printed, code = run(example)
    assert code == 0, printed
