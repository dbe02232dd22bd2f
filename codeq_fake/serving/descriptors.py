"""Descriptors: how many files and connections the system lets a process have open, and who may use how many."""

from __future__ import annotations

import sys
from contextlib import suppress

from codeq_fake.compat.uvicorn import Limits
from codeq_fake.runtime.webhook_deliveries import MOST_AT_ONCE

#: More than this is not asked for: some systems allow a billion, and programs that close them all take minutes.
_MOST = 65_536
#: What stays free for all else: files, names that are looked up, modules that are loaded late.
_RESERVE = 64
#: Callbacks get one part in this number of all descriptors.
_PART_OF_CALLBACKS = 4


def raise_limit() -> None:
    """Raise the limit of open files as far as the system allows."""
    if sys.platform == "win32":
        return  # sockets are not limited there
    import resource  # noqa: PLC0415 - there is none for Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft not in (-1, resource.RLIM_INFINITY) and soft < most:
        with suppress(ValueError, OSError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def limit() -> int:
    """The limit of open files of this process."""
    if sys.platform == "win32":
        return _MOST
    import resource  # noqa: PLC0415 - as above

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft in (-1, resource.RLIM_INFINITY) else min(soft, _MOST)


def callbacks(wanted: int | None = None) -> int:
    """How many callbacks may be under way at once: the wanted number, but at most a part of all descriptors."""
    return max(1, min(wanted or MOST_AT_ONCE, limit() // _PART_OF_CALLBACKS))


def limits(
    *,
    callbacks: int,
    connections: int | None = None,
    head_bytes: int | None = None,
    head_seconds: int | None = None,
    body_rate: int | None = None,
) -> Limits:
    """The limits of a server: the given ones, else the defaults.

    It may have no more connections than there are descriptors, after those that so many `callbacks` need.
    """
    default, available = Limits(), limit()
    backlog = max(1, min(default.backlog, available // 8))
    room = max(1, available - callbacks - backlog - _RESERVE)
    return Limits(
        connections=min(connections or default.connections, room),
        head_bytes=head_bytes or default.head_bytes,
        head_seconds=head_seconds or default.head_seconds,
        body_rate=default.body_rate if body_rate is None else body_rate,
        backlog=backlog,
    )
