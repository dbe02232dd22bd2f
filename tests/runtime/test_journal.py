"""The journal: the latest entries, numbered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.journal import Journal, Request


def fill(journal: Journal[Request], entries: int) -> None:
    for at in range(entries):
        journal.append(Request(journal.count + 1, at, "GET", "/metrics", "", b"", 200, b""))


def numbers(journal: Journal[Request], since: int = 0) -> list[int]:
    return [entry.n for entry in journal.since(since)]


def test_entries_are_numbered_from_one_and_listed_oldest_first() -> None:
    journal: Journal[Request] = Journal()
    assert numbers(journal) == []
    fill(journal, 3)
    assert numbers(journal) == [1, 2, 3]


@pytest.mark.parametrize(("since", "listed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, []), (99, [])])
def test_since_lists_the_entries_after_a_number(since: int, listed: list[int]) -> None:
    journal: Journal[Request] = Journal()
    fill(journal, 3)
    assert numbers(journal, since) == listed


@given(size=st.integers(0, 10), entries=st.integers(0, 30), since=st.integers(0, 40), most=st.integers(0, 12))
def test_the_last_entries_are_kept_and_keep_their_numbers(size: int, entries: int, since: int, most: int) -> None:
    journal: Journal[Request] = Journal(size)
    fill(journal, entries)
    kept = range(max(0, entries - size) + 1, entries + 1)
    assert numbers(journal, since) == [n for n in kept if n > since]
    assert journal.first_since(since, most) == journal.since(since)[:most]


@given(
    sizes=st.lists(st.integers(0, 60), max_size=30),
    size=st.integers(1, 20),
    most_bytes=st.integers(0, 200),
)
def test_the_entries_have_at_most_so_many_bytes_except_for_the_latest(
    sizes: list[int], size: int, most_bytes: int
) -> None:
    journal: Journal[Request] = Journal(size, most_bytes)
    for n, body in enumerate(sizes, start=1):
        journal.append(Request(n, 0, "POST", "", "", b"x" * body, 200, b""))
        kept = list(journal.entries)
        assert len(kept) == 1 or (sum(len(entry.body) for entry in kept) <= most_bytes and len(kept) <= size)
        # No more are dropped than need be.
        longer = [sizes[kept[0].n - 2], *(len(entry.body) for entry in kept)] if kept[0].n > 1 else []
        assert not longer or sum(longer) > most_bytes or len(longer) > size
        assert (journal.dropped(), journal.dropped(n)) == (n - len(kept), 0)
        assert [journal.find(number) for number in (0, kept[0].n - 1, n, n + 1)] == [None, None, kept[-1], None]


def test_ten_thousand_entries_are_kept_by_default() -> None:
    journal: Journal[Request] = Journal()
    fill(journal, 10_001)
    assert (len(journal.entries), journal.entries[0].n) == (10_000, 2)
