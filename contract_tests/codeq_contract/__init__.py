"""The CodeQ contract as a test suite, and the replay of what the real server did."""

from __future__ import annotations
