"""The only place that uses private names of other libraries: one module a library, each with a test of its own.

Such a test says in words what broke when an upgrade of the library takes the private name away.
"""

from __future__ import annotations
