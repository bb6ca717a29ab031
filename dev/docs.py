"""Builds the documentation site into `site/`; a broken link, anchor or heading is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from dev import ROOT, tools

SITE = ROOT / "site"


def main(site: Path = SITE) -> int:
    """Build anew; return Sphinx's exit code."""
    shutil.rmtree(site, ignore_errors=True)
    # Every warning is printed, and is an error. What Sphinx remembers of a build is no part of the site.
    strict = ("-q", "--fail-on-warning", "--fresh-env", "-d", ROOT / ".tools" / "doctrees")
    command = (tools.program("sphinx-build"), *strict, "-c", ROOT / "docs", "-b", "html", ROOT, site)
    code = subprocess.run([str(word) for word in command]).returncode
    if code == 0:
        shutil.copy(site / "README.html", site / "index.html")
        print(f"The site is in {site.name}/; open {site.name}/index.html.")
    return code


if __name__ == "__main__":
    sys.exit(main())
