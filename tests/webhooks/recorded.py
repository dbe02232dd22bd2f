"""What the recordings of the real server hold about callbacks and notices."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FOLDER = Path(__file__).parent.parent / "recordings"


@dataclass(frozen=True)
class Recorded:
    """One request that the real server sent to a webhook; ``secret`` is the one it ran with."""

    path: str
    headers: Mapping[str, str]
    body: str
    secret: str

    @property
    def json(self) -> dict[str, Any]:
        """The body, read."""
        body: dict[str, Any] = json.loads(self.body)
        return body


def recorded(pattern: str = "*/*") -> Iterator[Recorded]:
    """Read all recorded webhook requests of the files that match, POSTs only."""
    for file in sorted(_FOLDER.glob(f"{pattern}.jsonl.gz")):
        header, *lines = gzip.decompress(file.read_bytes()).rstrip(b"\n").split(b"\n")
        secret = json.loads(header)["settings"].get("WEBHOOK_HMAC_SECRET", "")
        for line in map(json.loads, lines):
            if line["kind"] == "callback" and line["method"] == "POST":
                yield Recorded(line["path"], line["headers"], line["body"], secret)
