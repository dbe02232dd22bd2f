"""Private names of pytest: the parameters of an item, its fixtures, and the path of the JUnit report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


def parameters(item: pytest.Function) -> Mapping[str, Any]:
    """The values that `pytest.mark.parametrize` gave an item.

    pytest offers them only after its set-up of the item. Cases that wait side by side start before that.
    """
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def without_fixtures(item: pytest.Function) -> None:
    """Keep pytest from setting up the fixtures of an item."""
    item.fixturenames.clear()


def write_junit_report(config: pytest.Config, path: str) -> None:
    """Write a JUnit report to `path`, unless the user chose a path. Call it before pytest configures that plugin."""
    config.option.xmlpath = config.option.xmlpath or path
