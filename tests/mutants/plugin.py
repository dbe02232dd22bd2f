"""A pytest plugin that builds a defect into the fake before the suite runs: ``--mutant NAME``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.mutants.defects import named

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutant", default="", help="the defect to build into the fake")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--mutant"):
        named(config.getoption("--mutant")).apply()
