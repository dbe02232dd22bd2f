"""Sends the same odd requests to two servers, and finds the fewest that show each kind of difference."""

from __future__ import annotations

from .pair import Pair, started_pair
from .search import Difference, Limits, Outcome, Search
