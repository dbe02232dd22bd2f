"""Recordings of a server: their format, their files, their times."""

from __future__ import annotations
