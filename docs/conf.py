"""The documentation site: the Markdown files as they are, and a navigation made of docs/README.md.

`./run docs` builds it with the folder of the project as the source.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "e-conomic invoice sync"
copyright = "its contributors; Apache-2.0"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "tests/faults/README.md"]
# Folders that need not be walked through.
exclude_patterns = [".*", "dist", "site"]
nitpicky = True
myst_heading_anchors = 4

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["site"]
html_css_files = ["site.css"]
templates_path = ["site"]
html_sidebars = {"**": ["contents"]}
html_theme_options = {"navbar_center": [], "show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
html_copy_source = False


def toctree(document: str, caption: str, text: str) -> str:
    """Return a hidden table of contents of all links at the start of list items."""
    folder = Path(document).parent.as_posix()
    pages = [normpath(f"{folder}/{link}") for link in re.findall(r"(?m)^- \[.*?\]\((.+?)\.md\)", text)]
    entries = ["self" if page == root_doc else f"/{page}" for page in pages]
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", *entries, "```", ""])


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Append to a page what the site's navigation is made of."""
    if name == root_doc:
        contents = (ROOT / "docs" / "README.md").read_text().split("\n## ")[1:]
        source[0] += "".join(toctree("docs/README", text.splitlines()[0], text) for text in contents)
    elif name == "docs/README":
        source[0] = f"---\norphan: true\n---\n{source[0]}"
    elif name == "docs/decisions/README":
        source[0] += toctree(name, "Decisions", source[0])


def setup(app: Sphinx) -> None:
    """Connect the navigation."""
    app.connect("source-read", add_navigation)
