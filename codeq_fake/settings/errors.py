"""The one way in which settings are refused, and the words that its messages share."""

from __future__ import annotations


class SettingsError(ValueError):
    """A setting has a value that cannot be meant. The message is one line: which, what was found, what is allowed."""


def one_line(error: object) -> str:
    """The text of another library's error, fit to stand inside a message of ours."""
    return " ".join(str(error).split()) or type(error).__name__


def kind(value: object) -> str:
    """What a value from JSON or YAML is, in a word that its writer knows."""
    if value is None:
        return "null"
    names = {dict: "mapping", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)
