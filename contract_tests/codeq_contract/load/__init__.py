"""A load of producers and workers, some of them faulty, whose history can be judged."""

from __future__ import annotations

from codeq_contract.load.history import Load, record_load

__all__ = ["Load", "record_load"]
