"""What a person reads of a document, and where its links and files are."""

from __future__ import annotations

from html.parser import HTMLParser


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(document: str) -> _Reader:
    reader = _Reader()
    reader.feed(document)
    return reader


def text(document: str) -> str:
    """A document's text, its words one blank apart."""
    return " ".join(_read(document).text.split())


def links(document: str) -> list[str]:
    """Everything that a document leads to or loads."""
    return _read(document).links
