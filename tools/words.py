"""Find the words that this project avoids: `python -m tools.words [FILE ...]`.

The list is words.toml beside this file. Without arguments all files are checked except the pending ones.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_name("words.toml")

#: What may stand between the words of a phrase: blanks, and the signs that begin a line of a comment or a quotation.
_GAP = r"[\s#>*/]+"


@dataclass(frozen=True, slots=True)
class WordList:
    """The words to avoid with their replacements, and the files that they concern. Files are glob patterns."""

    avoid: Mapping[str, str]
    files: Sequence[str]
    allowed: Mapping[str, Sequence[str]]
    pending: Sequence[str]

    @classmethod
    def read(cls, path: Path = LIST) -> WordList:
        """Read a list. Raises KeyError when a part is missing."""
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(data["avoid"], data["files"], data["allowed"], data["pending"]["files"])

    def is_checked(self, path: str) -> bool:
        """Whether the words are avoided in this file."""
        return _matches(path, self.files) and not _matches(path, self.pending)

    def found_in(self, path: str, text: str) -> Iterator[tuple[int, str]]:
        """Each avoided word of a text, in lower case, with the number of its line."""
        allowed = {word for pattern, words in self.allowed.items() if fnmatchcase(path, pattern) for word in words}
        if "*" in allowed:
            return
        for match in self._pattern.finditer(text):
            word = re.sub(_GAP, " ", match[0]).lower()
            if word not in allowed:
                yield text.count("\n", 0, match.start()) + 1, word

    @property
    def _pattern(self) -> re.Pattern[str]:
        words = (re.escape(word).replace(r"\ ", _GAP) for word in self.avoid)
        return re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path, or its last part, matches one of the patterns."""
    return any(fnmatchcase(path, pattern) or fnmatchcase(Path(path).name, pattern) for pattern in patterns)


def tracked_files() -> list[str]:
    """The files of the repository, relative to its root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]


def complaints(words: WordList, paths: Sequence[str]) -> Iterator[str]:
    """A line for each avoided word in these files."""
    for path in paths:
        for line, word in words.found_in(path, (ROOT / path).read_text(encoding="utf-8")):
            yield f'{path}:{line}: "{word}"; write: {words.avoid[word]}'


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Print each avoided word. The exit code is 1 when there is one."""
    words = WordList.read()
    paths = arguments or [path for path in tracked_files() if words.is_checked(path)]
    found = list(complaints(words, paths))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
