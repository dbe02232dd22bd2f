"""Signatures of functions without a look at their types, which Python 3.14 evaluates when they are first asked for."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable

if sys.version_info >= (3, 14):
    from annotationlib import Format


def signature(function: Callable[..., object]) -> inspect.Signature:
    """As `inspect.signature`, also of a function whose types are imported for type checkers alone."""
    if sys.version_info >= (3, 14):
        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)
