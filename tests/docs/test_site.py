"""The site builds strictly: no dead link, no public name without documentation, no page that the navigation lacks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from docs.site import SITE

from .support import ROOT


@pytest.mark.process
@pytest.mark.slow(seconds=10)
def test_the_site_builds_and_documents_each_public_name() -> None:
    built = subprocess.run([sys.executable, "-m", "docs.site"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert (SITE / "index.html").exists()
