"""The folder in which the contents of artifacts are stored (S5)."""

from __future__ import annotations

import os.path
from contextlib import suppress
from pathlib import Path


class ArtifactFolder:
    """Writes files below one folder, and nowhere else.

    The fake is given this folder when it starts. No request can choose another one: requests choose the names of
    artifacts, ids of tasks, and by a reset the setting from which the URLs are made.
    """

    def __init__(self, folder: str) -> None:
        # A link that takes the folder's place later is not followed.
        self._root = Path(os.path.realpath(folder))

    def write(self, path: str, content: bytes) -> None:
        """Store a file, unless its path leads out of the folder, directly or by a link.

        A name that this machine cannot store is not stored either. The reply is the same in both cases.
        """
        with suppress(OSError, ValueError):
            file = Path(os.path.realpath(path))
            if self._root not in file.parents:
                return
            file.parent.mkdir(parents=True, exist_ok=True)
            # A new file: to write into the old one would wait for a pipe, or change what is linked to it elsewhere.
            file.unlink(missing_ok=True)
            with file.open("xb") as new:
                new.write(content)
