"""A CodeQ server in memory, for tests and laptops, with a clock you control."""

from __future__ import annotations

__version__ = "0.1.0"
