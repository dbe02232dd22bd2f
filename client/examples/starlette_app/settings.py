"""Settings: the environment, and for variables that it does not set, the file `.env`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_NEEDED = {
    "CODEQ_BASE_URL": "the CodeQ server's address, such as http://localhost:8080",
    "CODEQ_PRODUCER_TOKEN": "the token with which this API creates tasks",
}
_HIGHEST_PORT = 65_535


def environment(file: Path = Path(".env")) -> Mapping[str, str]:
    """Return the environment, completed by `file` if it exists (lines of NAME=VALUE; `#` starts a comment)."""
    return {**_read(file), **os.environ}


def problems(settings: Mapping[str, str]) -> list[str]:
    """Return the problems of the API's settings, one line for each."""
    problems = [f"{name} is missing: {what}" for name, what in _NEEDED.items() if not settings.get(name)]
    port = settings.get("PORT") or "3000"
    if not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
        problems.append(f"PORT must be a number from 1 to {_HIGHEST_PORT}, not {port!r}")
    return problems


def _read(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
