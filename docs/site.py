"""Builds the site in build/site with Zensical, and checks it: run `make docs`.

The pages are the Markdown files of docs/ and those of PAGES. A link that is right in the repository is made right on
the site: a link to another page leads to that page, a link to any other file to a copy of the file. So the pages can
be read in both places, and the site needs no network and no address of the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from docs.commands_page import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
STAGE = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
CONFIGURATION = ROOT / "mkdocs.yml"

#: Pages from outside docs/, and their places on the site.
PAGES = {
    "README.md": "index.md",
    "client/README.md": "how-to/client.md",
    "client/examples/starlette_app/README.md": "how-to/example.md",
    "contract_tests/README.md": "how-to/contract.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
}

#: The public modules whose names must be on the site: those of `__all__`, or else all that the module defines.
PUBLIC = (
    "codeq_fake.testing",
    "codeq_fake.faults",
    "codeq_fake.simulation",
    "codeq_client",
    "codeq_client.errors",
    "codeq_client.health",
    "codeq_client.metrics",
    "codeq_client.schedules",
    "codeq_client.testing",
    "codeq_client.tracing",
    "codeq_client.webhooks",
)

_LINK = re.compile(r'(\]\(|<[^>]+(?:src|srcset|href)=")([^)"#\s]+)')


def stage() -> None:
    """Write all pages to `STAGE`."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", STAGE, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    places = {page: page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    places |= {ROOT / source: Path(target) for source, target in PAGES.items() if (ROOT / source).exists()}
    for source, target in places.items():
        text = source.read_text(encoding="utf-8")
        (STAGE / target).write_text(_with_links(text, source, target, places), encoding="utf-8")
    (STAGE / "reference" / "commands.md").write_text(commands(), encoding="utf-8")


def _with_links(text: str, source: Path, target: Path, places: dict[Path, Path]) -> str:
    """The page's text with each link to a file of the repository as it must be on the site."""

    def moved(match: re.Match[str]) -> str:
        before, link = match.groups()
        linked = (source.parent / link).resolve()
        if "://" in link or link.startswith("mailto:") or not linked.is_file():
            return match[0]  # a dead link stays as it is: Zensical refuses it
        if linked in places:
            place = places[linked]
        elif linked.is_relative_to(ROOT / "docs"):
            place = linked.relative_to(ROOT / "docs")
        else:
            place = Path("files") / linked.relative_to(ROOT)
            (STAGE / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(linked, STAGE / place)
        return before + Path(os.path.relpath(place, target.parent)).as_posix()

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _LINK.sub(moved, part) for part in parts)


def problems() -> Iterator[str]:
    """What is wrong with the built site that Zensical does not see."""
    navigation = set(_leaves(yaml.load(CONFIGURATION.read_text(encoding="utf-8"), _Loader)["nav"]))  # noqa: S506 - a safe loader
    pages = {page.relative_to(STAGE).as_posix() for page in STAGE.rglob("*.md") if "files" not in page.parts}
    yield from (f"mkdocs.yml names a page that does not exist: {page}" for page in sorted(navigation - pages))
    yield from (f"mkdocs.yml does not name the page {page}" for page in sorted(pages - navigation))
    # The inventory begins with four lines about itself; then each name of the reference is on a line.
    *_, packed = (SITE / "objects.inv").read_bytes().split(b"\n", 4)
    shown = {line.split()[0] for line in zlib.decompress(packed).decode().splitlines()}
    yield from (f"no page documents {name}: does it have a docstring?" for name in public_names() if name not in shown)


def public_names() -> Iterator[str]:
    """Every public name, as `module.name`."""
    for place in PUBLIC:
        module = import_module(place)
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == place]
        names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
        yield from (f"{place}.{name}" for name in names)


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, in which a tag names a function of Python."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _loader, suffix, _node: suffix)


def _leaves(tree: object) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list):
        for part in tree:
            yield from _leaves(part)
    elif isinstance(tree, dict):
        yield from _leaves(list(tree.values()))


def main() -> None:
    """Build and check the site; exit with the problems that were found."""
    stage()
    zensical = Path(sys.executable).with_name("zensical")
    build = subprocess.run([zensical, "build", "--clean", "--strict"], cwd=ROOT, check=False)  # noqa: S603 - our own command
    if build.returncode:
        sys.exit(build.returncode)
    if found := list(problems()):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
