"""The page at ``/_fake/``: what goes on at a fake and why, and what a person may do to it, for a browser.

Rendered here, with one style sheet and one small script that the package brings; it needs no network and no build.
"""

from __future__ import annotations

from .mount import routes

__all__ = ["routes"]
