"""What is configured: the environment, and for what it leaves open the file `.env`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def environment(file: Path = Path(".env")) -> Mapping[str, str]:
    """Return the environment, completed by `file` (lines of NAME=VALUE; `#` begins a comment) when there is one."""
    return {**_read(file), **os.environ}


def _read(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
