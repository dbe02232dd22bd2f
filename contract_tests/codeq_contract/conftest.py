"""Loads the suite's plugin for whoever runs its cases by pytest."""

from __future__ import annotations

pytest_plugins = ["codeq_contract.plugin"]
