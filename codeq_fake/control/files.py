"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Replace what ``file`` holds by ``text`` in one step.

    Whoever reads it finds the one or the other, even after a crash. A new file may be read by its owner alone: a state
    holds payloads. Raises OSError, and then the file is as it was.
    """
    target = file.resolve()  # a link stays one
    # In the same directory, since a rename cannot lead to another file system.
    with NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False) as made:
        try:
            made.write(text)
            made.flush()
            os.fsync(made.fileno())
            with suppress(FileNotFoundError):
                os.chmod(made.name, target.stat().st_mode)  # noqa: PTH101 - the name of an open file
            made.close()
            os.replace(made.name, target)  # noqa: PTH105 - as above
        except BaseException:
            os.unlink(made.name)  # noqa: PTH108 - as above
            raise
