"""Carries out long work in slices, so that it does not hold the event loop."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from codeq_fake.core.slices import Slices

from .clock import stopwatch

T = TypeVar("T")

#: How long the others wait for one slice (real ns).
SLICE = 2_000_000


async def in_slices(work: Slices[T]) -> T:
    """The result of some work. After each slice, all others get a turn."""
    end_of_slice = stopwatch() + SLICE
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        if stopwatch() >= end_of_slice:
            await asyncio.sleep(0)
            end_of_slice = stopwatch() + SLICE
