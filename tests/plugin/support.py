"""Shared by the tests of the plugin, which run a test file with pytest as a user would."""

from __future__ import annotations

from collections.abc import Callable

Outcome = tuple[str, int]
Run = Callable[..., Outcome]

INI = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
