"""Renders the templates, and formats times, durations, states and JSON for them. All values are escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jinja2
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from codeq_fake import wire
from codeq_fake.control import representations
from codeq_fake.core import State
from codeq_fake.core.durations import in_words
from codeq_fake.core.times import MILLISECOND

from .fault_forms import arrival, consequence
from .limits import LONGEST_BODY, LONGEST_TEXT

#: Invisible characters: controls except tab and line ends, marks without a glyph, those that reverse a line, and
#: half surrogate pairs, which no document can hold.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)

_CLAUSE = re.compile(r"[A-Z]\d{1,2}")
_CLAUSES = re.compile(rf"\({_CLAUSE.pattern}(?:, {_CLAUSE.pattern})*\)")
_LINK_TO_CLAUSE = r'<a href="/_fake/page/ledger#clause-\g<0>">\g<0></a>'

_REFERENCE = re.compile(r"&#39;#/components/(\w+)/(\w+)&#39;")

STATES = {
    State.READY: "ready",
    State.DELAYED: "delayed",
    State.LEASED: "in progress",
    State.LOST: "lost",
    State.UNLEASED: "without lease",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.DEAD: "dead",
}


@pass_context
def when(context: Context, at: int | str | None) -> Markup:
    """A time (ns or RFC 3339) as the time of day in UTC, with its date unless that is the fake's current date."""
    if at is None:
        return Markup("")
    full = _in_utc(at)
    date, _, clock = full.rstrip("Z").partition("T")
    today = representations.time(context["now"]).partition("T")[0]
    text = clock[:12] if date == today else f"{date} {clock[:12]}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(full, full, text)


@pass_context
def until(context: Context, at: int | str | None, past: str = "over") -> Markup:
    """The duration from the fake's current time to another, or the word `past`.

    The script counts it down while the clock runs.
    """
    end = _nanoseconds(at)
    if end is None:
        return Markup("")
    left = end - context["now"]
    text = f"in {in_words(left)}" if left > 0 else past
    return Markup('<time datetime="{}" data-until="{}" data-past="{}">{}</time>').format(
        representations.time(end), end // MILLISECOND, past, text
    )


@pass_context
def is_ahead(context: Context, at: int | str) -> bool:
    """Whether a time is after the fake's current time."""
    end = _nanoseconds(at)
    return end is None or end > context["now"]


@pass_context
def since(context: Context, at: int) -> Markup:
    """The duration from a time (ns) to the fake's current time; the script counts it up while the clock runs."""
    text = in_words(max(0, context["now"] - at))
    return Markup('<time datetime="{}" data-since="{}">{}</time>').format(
        representations.time(at), at // MILLISECOND, text
    )


@pass_context
def ago(context: Context, at: int) -> str:
    """The duration from a time (ns) to the fake's current time."""
    return f"{in_words(context['now'] - at)} ago"


def later(ns: int) -> str:
    """The duration from one event to the next."""
    return f"+{in_words(ns)}"


def _in_utc(at: int | str) -> str:
    ns = _nanoseconds(at)
    return representations.time(ns) if ns is not None else str(at)


def _nanoseconds(at: int | str | None) -> int | None:
    """A time (ns or RFC 3339) in ns; None if the year has more than four digits, as the end of a very long lease."""
    if not isinstance(at, str):
        return at
    with suppress(wire.BadTime):
        return wire.parse_rfc3339(at)
    return None


def pretty(text: str) -> str:
    """JSON text with indentation; other or long text unchanged, up to a length."""
    if len(text) <= LONGEST_BODY:
        try:
            laid_out = json.dumps(representations.parsed(text), indent=2, ensure_ascii=False)
        except ValueError:
            return text
        return laid_out if text[:1] in "[{" else text
    return _cut(text, LONGEST_BODY)


def _cut(text: str, length: int) -> str:
    return f"{text[:length]}\n... and {len(text) - length:,} characters more"


def visible(value: Any) -> Any:  # noqa: ANN401 - whatever a template shows
    """A value for a template, with JSON escapes for invisible characters; markup is unchanged.

    So no text can reverse its line or look like another text. One of megabytes is cut.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _UNSEEN.sub(_escaped, value if len(value) <= LONGEST_TEXT else _cut(value, LONGEST_TEXT))


def _escaped(unseen: re.Match[str]) -> str:
    units = unseen[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def exact(value: object) -> Markup:
    """A value that a form sends back: every character is kept, even an invisible one."""
    return escape(value)


def prose(text: str) -> Markup:
    """A text with code between back quotes, and with names of clauses in parentheses, such as `(K5, N4)`."""
    parts = [
        _with_clauses(part) if number % 2 == 0 else Markup("<code>{}</code>").format(part)
        for number, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def _with_clauses(text: str) -> Markup:
    """A text whose names of clauses are links to what they say."""
    return Markup(_CLAUSES.sub(lambda found: _CLAUSE.sub(_LINK_TO_CLAUSE, found[0]), str(escape(text))))  # noqa: S704 - escaped


def yaml_with_links(node: object) -> Markup:
    """A part of the OpenAPI document as YAML; references are links to their definitions."""
    import yaml  # noqa: PLC0415 - only the document needs it

    text = str(escape(yaml.safe_dump(node, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)))
    return Markup(_REFERENCE.sub(r"<a href='#\1-\2'>\2</a>", text))  # noqa: S704 - escaped, and names are words


def short(text: str, length: int = 120) -> str:
    """The beginning of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"


def count(number: int) -> str:
    """A number with commas between thousands."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 task`, `1,200 tasks`."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def query(path: str, **fields: Any) -> str:
    """A path of the page with a query of the fields that are not empty."""
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def render(template: str, context: Mapping[str, Any], status: int = 200) -> Response:
    """Render a template as a response."""
    return HTMLResponse(_environment().get_template(template).render(context), status)


def compiled_templates() -> Iterator[None]:
    """Compile the templates one by one. They are kept."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)
        yield


def html_environment(package: str, **options: Any) -> jinja2.Environment:
    """Jinja with the HTML templates of a package: values are escaped, and a missing one is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )


@cache
def _environment() -> jinja2.Environment:
    """Jinja with the filters of the templates. It shows invisible characters."""
    environment = html_environment(__package__, auto_reload=False, finalize=visible)
    filters = (
        ago,
        count,
        counted,
        exact,
        in_words,
        is_ahead,
        later,
        pretty,
        prose,
        short,
        since,
        until,
        when,
        yaml_with_links,
    )
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters |= {"arrival": arrival, "consequence": consequence}
    environment.filters["rfc3339"] = representations.time
    environment.globals["query"] = query
    return environment
