"""A plugin for pytest that leaves out cases which other targets run as well.

The targets on a port, at a URL and in containers differ in how a request comes to the server. For that a share of the
cases is enough. In process all of them run.
"""

from __future__ import annotations

from types import MappingProxyType

import pytest

from codeq_contract.report.results import GROUPS
from codeq_contract.suite.runner import group_of, needed_features
from tests.mutants.children import drawn

#: Target -> level -> the first of its cases, in an order that the commit draws, and the distance to the next. Levels in
#: which cases wait side by side take little of a processor, except in containers.
_SHARES = MappingProxyType(
    {
        "http": {"core": slice(0, None, 6)},
        "url": {"core": slice(1, None, 3), "webhooks": slice(1, None, 3)},
        "container": {group: slice(2, None, 12) for group in GROUPS},
    }
)

#: How many of the cases that need a separate server run in containers: each of them starts two.
_SERVERS = 3


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the target's share."""
    target = config.getoption("codeq_target")
    left_out = set[str]()
    for level, share in _SHARES[target].items():
        cases = drawn(item.nodeid for item in items if group_of(item) == level)
        left_out |= {*cases} - {*cases[share]}
    if target == "container":
        with_server = [item for item in items if "variants" in needed_features(item)]
        left_out |= {*drawn(item.nodeid for item in with_server if item.nodeid not in left_out)[_SERVERS:]}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
    items[:] = [item for item in items if item.nodeid not in left_out]
