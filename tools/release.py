"""Check that a tag may be released: `python -m tools.release v0.2.0`.

The tag must name the version of both distributions, and CHANGELOG.md must have a section for that version. That the
list of components (`sbom.cdx.json`) has this version, too, is tested in `tests/package/test_supply.py`.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


def problems(tag: str, root: Path = ROOT) -> Iterator[str]:
    """What must change before this tag may be released."""
    version = _version(root / "pyproject.toml")
    if tag != f"v{version}":
        yield f"the tag is {tag!r}, but pyproject.toml has version {version}: it must be 'v{version}'"
    if (other := _version(root / "client" / "pyproject.toml")) != version:
        yield f"client/pyproject.toml has version {other}, but pyproject.toml has {version}"
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    if not any(line.startswith(f"## [{version}] - ") for line in changes):
        yield f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'"


def _version(project: Path) -> str:
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and the tag
        sys.exit(__doc__)
    if found := list(problems(sys.argv[1])):
        sys.exit("\n".join(found))
