"""Run pytest on every supported Python that is found here: `python -m tools.versions [PYTEST OPTION ...]`.

Each version has its environment under build/, made once for each state of pyproject.toml and constraints.txt.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")


def candidates(version: str) -> Iterator[str]:
    """The places where a version of Python may be. A shim of pyenv may be there without its version."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))


def interpreter(version: str) -> str | None:
    """A Python of this version that runs here."""
    for candidate in candidates(version):
        command = [candidate, "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.stdout.strip() == version:
            return candidate
    return None


def environment(version: str, python: str) -> str:
    """The Python of this version's environment, which is made when it is missing or out of date.

    Raises subprocess.CalledProcessError when it cannot be made.
    """
    folder = ROOT / "build" / f"python{version}"
    inputs = b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    state, stamp = hashlib.sha256(inputs).hexdigest(), folder / "state"
    inner = str(folder / "bin" / "python")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != state:
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        install = [inner, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-c", "constraints.txt"]
        subprocess.run([*install, "pip", "hatchling"], cwd=ROOT, check=True)
        packages = ["--no-build-isolation", "--editable", ".[contract]", "--group", "test"]
        subprocess.run([*install, *packages], cwd=ROOT, check=True)
        stamp.write_text(state, encoding="utf-8")
    return inner


def passes(version: str, python: str, options: Sequence[str]) -> bool:
    """Whether the tests pass on this version."""
    try:
        inner = environment(version, python)
    except subprocess.CalledProcessError as error:
        print(error)
        return False
    command = [inner, "-m", "pytest", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *options], cwd=ROOT, check=False).returncode == 0


def main() -> None:
    """Print a line for each version. The exit code is 1 when the tests failed on one or none was found."""
    results = {}
    for version in VERSIONS:
        python = interpreter(version)
        results[version] = "not found" if python is None else "failed"
        if python is not None and passes(version, python, sys.argv[1:]):
            results[version] = "passed"
    for version, result in results.items():
        print(f"Python {version}: {result}")
    sys.exit(0 if "passed" in results.values() and "failed" not in results.values() else 1)


if __name__ == "__main__":
    main()
