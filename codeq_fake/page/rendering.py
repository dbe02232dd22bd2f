"""Makes documents of templates: every value is escaped, and a browser runs and loads this package's files alone."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import jinja2
from starlette.responses import HTMLResponse

from . import formatting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

#: What a browser may do with any answer of the page: load this site's files, send forms to it, and be no one's frame.
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # With no-referrer a browser would not say where a form comes from.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)

ASSETS: Mapping[str, str] = MappingProxyType(
    {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
)


def document(template: str, context: Mapping[str, Any], status: int = 200) -> Response:
    """A document as a response."""
    return HTMLResponse(_environment().get_template(template).render(context), status)


@cache
def asset(name: str) -> bytes:
    """One of :data:`ASSETS`."""
    return (files(__package__) / "assets" / name).read_bytes()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=formatting.visible,
    )
    environment.filters |= {
        "count": formatting.count,
        "counted": formatting.counted,
        "duration": formatting.duration,
        "exact": formatting.exact,
        "pretty": formatting.pretty,
        "prose": formatting.prose,
        "rfc3339": formatting.rfc3339,
        "short": formatting.short,
        "state": formatting.state_of,
        "until": formatting.until,
        "when": formatting.when,
        "yaml_with_links": formatting.yaml_with_links,
    }
    environment.globals["query"] = formatting.query
    environment.globals["states"] = tuple(formatting.STATES.values())
    return environment
