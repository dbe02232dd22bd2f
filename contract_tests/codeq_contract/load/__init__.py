"""A load of producers and workers, some of them faulty, whose history can be checked."""

from __future__ import annotations

from .busy_clients import LostProcessError
from .recording import BrokenLoadError, Load, Progress, record_load
