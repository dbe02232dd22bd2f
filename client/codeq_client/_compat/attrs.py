"""attrs: recognise attrs classes without importing attrs, which the client does not depend on."""

from __future__ import annotations

from typing import Any


def attrs_fields(kind: type) -> tuple[Any, ...] | None:
    """Return the fields of an attrs class, or None for any other class.

    Each field has `name`, `alias` (the argument of `__init__`) and `init`. attrs documents `__attrs_attrs__` for
    libraries ("Extending").
    """
    return getattr(kind, "__attrs_attrs__", None)
