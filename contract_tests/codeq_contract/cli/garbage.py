"""When garbage is collected: not while a command is loaded, since what an import creates stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def garbage_kept() -> Iterator[None]:
    """A context in which no garbage is collected."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class GarbageOfCases:
    """A pytest plugin that ends `garbage_kept` when the cases are loaded. No later collection looks at them."""

    def pytest_collection_finish(self) -> None:
        """Collect garbage from now on."""
        if not gc.get_freeze_count():  # a process in which other objects stay has frozen them already
            gc.freeze()
        gc.enable()
