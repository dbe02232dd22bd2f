"""A pytest that a test starts in another process, with few plugins."""

from __future__ import annotations


def plugin_options(*modules: str) -> tuple[str, ...]:
    """Options that load the plugins of the fake and of pytest-asyncio, and those in `modules`.

    Others that happen to be installed here take no part, since a start with all of them takes three times as long.
    Plugins are named by modules: xdist's workers do not find them by entry points.
    """
    names = ("codeq_fake.pytest_plugin", "pytest_asyncio.plugin", *modules, "no:cacheprovider")
    return ("--disable-plugin-autoload", *(part for name in names for part in ("-p", name)))
