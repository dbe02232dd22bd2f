"""Replays recordings on a fake and compares every reply and callback with the recorded one."""

from __future__ import annotations
