"""The contract suite: what a case is given, and how a run goes."""

from __future__ import annotations
