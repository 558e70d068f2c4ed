"""Sphinx's configuration: the site of these pages, ``python -m sphinx -b html docs site``.

The pages are plain Markdown that reads well without a site. What a site needs beyond that is derived from them here:
the tables of contents from the lists of links of ``index.md``, and links that lead out of ``docs/`` from the pages that
show the same, or else to the repository's files.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

import genbench

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent

project = "genbench"
author = "The genbench maintainers"
project_copyright = f"{author}. Apache-2.0"
release = version = genbench.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
myst_fence_as_directive = ["math"]  # as GitHub shows formulas
myst_heading_anchors = 4  # of headings down to this level, as GitHub has them

mathjax_path = "https://cdn.jsdelivr.net/npm/mathjax@4.1.3/tex-svg.js"  # SVG: without web fonts of its own

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = False
python_use_unqualified_type_names = True
nitpick_ignore_regex = [
    # Of other projects, whose documentation lies elsewhere.
    ("py:.*", r"(torch|pd|pandas|np|numpy|click|pytest|pathlib|collections|typing|contextlib|os)(\..*)?|dict\[str"),
    # Of the inside of this one, which has no pages, and the short names that annotations give to both.
    ("py:.*", r"genbench\.(?!(errors|model|specs|testing\.(check|parametrize))\b)[\w.]+"),
    ("py:.*", r"[A-Z]\w*|files_sha256"),
]

html_theme = "furo"
html_title = f"genbench {release}"
html_theme_options = {}
html_copy_source = False
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1)\b.*"]
linkcheck_retries = 3
linkcheck_timeout = 20
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]  # made by scripts

SHOWN = {
    "project/changelog": "CHANGELOG.md",
    "project/code-of-conduct": "CODE_OF_CONDUCT.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/reporting": "SECURITY.md",
}
"""Pages in whose place the site shows a file of the repository's root."""

ELSEWHERE = {file: f"{page}.md" for page, file in SHOWN.items()} | {
    "genbench/hookspecs.py": "hooks.md",
    "genbench/model.py": "reference.md",
    "genbench/specs.py": "reference.md",
    "genbench/testing.py": "reference.md",
}
"""Files of the repository and the page of the site that shows the same."""

LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def repository() -> str | None:
    """The address of the repository that the site is built from, as GitHub Actions tell it; None elsewhere."""
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return f"{server}/{name}" if server and name else None


if repository():
    html_theme_options = {"source_repository": f"{repository()}/", "source_branch": "main", "source_directory": "docs/"}


def linked(text: str, folder: str, page_folder: str) -> str:
    """Markdown whose links lead to the pages of the site, or to files of the repository that are none of them.

    Args:
        folder: what the links are relative to, from the repository's root.
        page_folder: the same of the page on which the text is to stand.
    """

    def replace(found: re.Match[str]) -> str:
        path, anchor = posixpath.normpath(posixpath.join(folder, found["target"])), found["anchor"] or ""
        page = posixpath.join("docs", ELSEWHERE[path]) if path in ELSEWHERE else path
        if page.startswith("docs/"):
            return f"[{found['text']}]({posixpath.relpath(page, page_folder)}{anchor})"
        if repository():
            return f"[{found['text']}]({repository()}/blob/main/{path}{anchor})"
        return found["text"] if path in found["text"] else f"{found['text']} (`{path}`)"

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(replace, part) for part in parts[::2]]
    return "".join(parts)


def contents(text: str) -> str:
    """Hidden tables of contents: one for each section of the second level, of the pages that it links to."""
    tables = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        pages = re.findall(r"\]\(([^)#:]+)\.md\)", body)
        if pages:
            tables.append(toctree(pages, title))
    return "".join(tables)


def toctree(pages: list[str], caption: str = "") -> str:
    title = f":caption: {caption}\n" if caption else ""
    listed = "\n".join(dict.fromkeys(pages))
    return f"\n```{{toctree}}\n:hidden:\n{title}\n{listed}\n```\n"


def as_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """What the site makes of a page's source."""
    page_folder = posixpath.dirname(f"docs/{docname}")
    if docname in SHOWN:
        file = DOCS.parent / SHOWN[docname]
        app.env.note_dependency(str(file))
        source[0] = linked(file.read_text(encoding="utf-8"), "", page_folder)
    else:
        source[0] = linked(source[0], page_folder, page_folder)
    if docname == "index":
        source[0] += contents(source[0])
    elif docname == "models/index":
        source[0] += toctree(re.findall(r"\]\((\w+)\.md\)", source[0]))


def setup(app: Sphinx) -> None:
    app.connect("source-read", as_page)
