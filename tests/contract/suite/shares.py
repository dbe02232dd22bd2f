"""A plugin for pytest that leaves out cases which other targets run as well.

The targets on a port, at a URL and in containers differ in how a request comes to the server. For that each of them
runs a third of the cases of the levels `core` and `recorded`, and all others: they wait side by side. The commit draws
the thirds.
"""

from __future__ import annotations

import pytest

from codeq_contract.suite.runner import group_of, needed_features
from tests.mutants.children import drawn

#: The targets that share the cases.
_TARGETS = ("http", "url", "container")

#: How many of the cases that need a separate server run in containers: each of them starts two.
_SERVERS = 6


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the shares of the other targets."""
    target = config.getoption("codeq_target")
    shared = drawn(item.nodeid for item in items if group_of(item) in ("core", "recorded"))
    left_out = {*shared} - {*shared[_TARGETS.index(target) :: len(_TARGETS)]}
    if target == "container":
        left_out |= {*drawn(item.nodeid for item in items if "variants" in needed_features(item))[_SERVERS:]}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]
