"""Limits of the page: how much it shows, and how much a form may send."""

from __future__ import annotations

#: How many entries a sheet of a long list has, and how many each part of the overview.
ENTRIES_OF_SHEET = 50
ENTRIES_OF_OVERVIEW = 12

#: How many characters of a payload, a body or a reply the page shows; and of any other text, such as an error.
LONGEST_BODY = 100_000
LONGEST_TEXT = 10 * LONGEST_BODY

#: How many requests the story of a task shows that were refused, met a fault or got no reply: the latest ones.
MOST_STRUCK = 20

#: How many commands a form suggests.
MOST_SUGGESTED = 50

#: The largest form (bytes); a state has about the same limit in the control API.
LARGEST_FORM = 256 * 1024 * 1024
#: The largest form of the login (bytes): anyone may send it.
LARGEST_LOGIN = 10_000
