"""The check for words to avoid."""

from __future__ import annotations

import pytest

from tools.words import WordList

WORDS = WordList(
    avoid={"be it": "whether it is", "whom": "name the one"},
    files=["*.py", "Makefile"],
    allowed={"docs/*": ["whom"], "list.py": ["*"]},
    pending=["old/*"],
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("For whom?", [(1, "whom")]),
        ("one\n# Whom and\n# whom", [(2, "whom"), (3, "whom")]),
        ("# a fake, be\n    # it on a port", [(1, "be it")]),
        ("whomever, test_whom", []),
        ("maybe it", []),
    ],
)
def test_whole_words_and_phrases_are_found_with_their_lines(text: str, found: list[tuple[int, str]]) -> None:
    assert list(WORDS.found_in("a.py", text)) == found


@pytest.mark.parametrize(
    ("path", "found"), [("docs/a.md", [(1, "be it")]), ("list.py", []), ("a.py", [(1, "be it"), (1, "whom")])]
)
def test_a_file_may_be_allowed_some_words_or_all(path: str, found: list[tuple[int, str]]) -> None:
    assert list(WORDS.found_in(path, "be it whom")) == found


@pytest.mark.parametrize(
    ("path", "is_checked"),
    [("a.py", True), ("x/y.py", True), ("Makefile", True), ("old/x/a.py", False), ("a.gz", False)],
)
def test_pending_files_and_other_types_are_not_checked(path: str, *, is_checked: bool) -> None:
    assert WORDS.is_checked(path) is is_checked


def test_the_projects_list_can_be_read_and_every_word_has_an_alternative() -> None:
    assert all(WordList.read().avoid.values())
