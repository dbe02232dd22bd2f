"""Output that is not read: a write neither waits nor fails, and what is read again says what is missing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from codeq_fake.serving.background_stream import BackgroundStream

LINE = "x" * 999 + "\n"


@contextmanager
def pipe() -> Iterator[tuple[int, BackgroundStream]]:
    """The reading end of a pipe, and the stream that writes to it."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="ascii") as output:
        yield reader, BackgroundStream(output)


def rest_of(reader: int) -> bytes:
    with os.fdopen(reader, "rb") as source:
        return source.read()


def test_text_that_is_read_arrives_whole_and_in_order() -> None:
    with pipe() as (reader, stream):
        stream.write("café\n")
        stream.write("")
        stream.write("done\n")
        stream.end()
    assert rest_of(reader) == b"caf\\xe9\ndone\n"


def test_a_full_pipe_holds_nothing_up_and_the_reader_learns_how_much_is_missing() -> None:
    with pipe() as (reader, stream):
        for _ in range(5000):
            stream.write(LINE)
        assert os.read(reader, len(LINE)) == LINE.encode()
        read, missing = "", 0
        while 1 + read.count(LINE) + missing < 5000:
            read += os.read(reader, 100_000).decode()
            missing = sum(map(int, re.findall(r"codeq-fake: (\d+) lines of output were dropped here", read)))
        assert missing > 2000
        stream.write("read again\n")
        stream.end()
    assert rest_of(reader).endswith(b"read again\n")


def test_a_closed_pipe_takes_whatever_is_written() -> None:
    with pipe() as (reader, stream):
        os.close(reader)
        for _ in range(100):
            assert stream.write(LINE) == len(LINE)
        stream.end()
        stream.write("late\n")


def test_a_pipe_that_another_process_made_non_blocking_loses_nothing() -> None:
    with pipe() as (reader, stream):
        os.set_blocking(stream.fileno(), False)
        for _ in range(200):
            stream.write(LINE)
        read = b""
        while len(read) < 200 * len(LINE):
            read += os.read(reader, 10_000)
        stream.end()
    assert (set(read.decode().splitlines(keepends=True)), rest_of(reader)) == ({LINE}, b"")
