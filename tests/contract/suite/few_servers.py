"""A plugin for pytest that leaves out most cases that start separate servers; the commit draws those that stay.

Such a server and its store are two containers, and seventy pairs take most of the time of a run.
"""

from __future__ import annotations

import pytest

from codeq_contract.suite.runner import needed_features
from tests.mutants.children import drawn

_KEPT = 10


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out cases that need other settings, but a few of them."""
    with_server = [item for item in items if "variants" in needed_features(item)]
    kept = drawn(item.nodeid for item in with_server)[:_KEPT]
    left_out = [item for item in with_server if item.nodeid not in kept]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
