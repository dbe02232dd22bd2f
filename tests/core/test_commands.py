"""Go's lower case and white space (C2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core.commands import is_blank, queue_name, trim

GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
NO_GO_SPACE = "\x1c\x1d\x1e\x1f\u180e\u200b\u2060\ufeff"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("GENERATE_MASTER", "generate_master"),
        ("pack", "pack"),
        ("ÄÖÜẞ", "äöüß"),
        ("\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c3"),  # no final sigma: each rune by itself
        ("İ", "i"),  # one rune stays one rune
        ("\u212a", "k"),  # KELVIN SIGN
        ("漢字", "漢字"),
        ("", ""),
    ],
)
def test_c2_a_queue_is_named_by_the_lower_case_of_each_rune(command: str, name: str) -> None:
    assert queue_name(command) == name


@given(st.text())
def test_c2_a_queues_name_is_its_own_name_and_as_long_as_the_command(command: str) -> None:
    name = queue_name(command)
    assert queue_name(name) == name
    assert len(name) == len(command)


@pytest.mark.parametrize("char", GO_SPACE)
def test_what_go_calls_space_is_blank(char: str) -> None:
    assert is_blank(char)
    assert trim(f"{char}a{char}b{char}") == f"a{char}b"


@pytest.mark.parametrize("char", NO_GO_SPACE)
def test_space_to_python_only_and_invisible_characters_are_not_blank(char: str) -> None:
    assert not is_blank(char)
    assert trim(char) == char
