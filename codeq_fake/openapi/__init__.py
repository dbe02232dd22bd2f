"""The OpenAPI document of CodeQ's HTTP API, written from the contract and checked against the recordings.

`openapi.yaml` is that of v0.3.3. A file with the name of a later version, or of a store, says what is different there:
a JSON Merge Patch (RFC 7396).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

_FIRST = "openapi"


def document(version: str = "", store: str = "") -> dict[str, Any]:
    """The document for a version and a store as plain JSON values. Without them, that of v0.3.3."""
    first, *patches = _read(_FIRST, version, store)
    for patch in patches:
        first = _merged(first, patch)
    return first


def _read(*names: str) -> Iterator[dict[str, Any]]:
    """The contents of those files that exist."""
    import yaml  # noqa: PLC0415 - 20 ms that only this costs

    # The loader in C, which most installations of PyYAML have, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for name in names:
        file = files(__name__) / f"{name}.yaml"
        if file.is_file():
            yield yaml.load(file.read_text(encoding="utf-8"), loader)  # noqa: S506 - both are safe loaders


def _merged(target: object, patch: object) -> Any:  # noqa: ANN401 - any JSON value
    """The target with a merge patch: null removes a member, an object changes members, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
