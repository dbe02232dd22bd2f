"""The OpenAPI document of CodeQ's HTTP API, written from the contract and checked against the recordings."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def document() -> dict[str, Any]:
    """The document as plain JSON values."""
    import yaml  # noqa: PLC0415 - 20 ms that only this costs

    # The loader in C, which most installations of PyYAML have, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files(__name__) / "openapi.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, loader)  # noqa: S506 - both are safe loaders
    return loaded
