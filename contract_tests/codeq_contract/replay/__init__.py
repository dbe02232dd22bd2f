"""Replays recordings on a fake and compares every reply."""

from __future__ import annotations
