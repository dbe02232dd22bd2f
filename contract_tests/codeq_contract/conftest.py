"""Loads the suite's plugin when pytest collects its cases."""

from __future__ import annotations

pytest_plugins = ["codeq_contract.plugin"]
