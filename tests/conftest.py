"""Settings that all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline anywhere: how long an example takes is the machine's affair, and never a reason to fail.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if "CI" in os.environ else "dev")

pytest_plugins = ["pytester"]  # the tests of our own plugin run tests
