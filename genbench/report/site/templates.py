"""The pages' templates, compiled once, what every page shares, and the policy under which it is read."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from genbench import __version__
from genbench.report.numbers import significant
from genbench.report.printable import printable

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
STYLES = ("style.css", "charts.css")
SCRIPT = "table.js"

POLICY = """default-src 'none'; img-src 'self'; style-src 'self'; script-src '{script}'; base-uri 'none'; \
form-action 'none'"""
"""Of every page (W3C, "Content Security Policy Level 3"). A script is named by its hash: nothing else can run, whatever
a record holds. The style is one file for all pages, since it would else outweigh most of them; of what lies on a
leaderboard's own host nothing but pictures and styles can be fetched, and no attribute can hold a style."""

NO_SCRIPT = "none"


def render(template: str, root: str, script: bool, **values: object) -> str:
    """A page. Everything that comes from records or plugins is escaped, and made printable.

    Args:
        template: name of its file.
        root: relative address of the site's root, ``""`` or ``"../"`` and so on.
        script: whether the page has the script for tables.
        values: what the template asks for.
    """
    import markupsafe

    code = markupsafe.Markup(_text(SCRIPT)) if script else ""
    policy = POLICY.format(script=_hash(code) if script else NO_SCRIPT)
    page = environment().get_template(template)
    return page.render(root=root, script=code, policy=policy, style=style_name(), version=__version__, **values)


@functools.cache
def style() -> str:
    """The text of the style of all pages."""
    return "\n".join(_text(name) for name in STYLES)


@functools.cache
def style_name() -> str:
    """The name of the style's file; with a part of its hash, so that no browser takes an older one for it."""
    return f"style.{hashlib.sha256(style().encode()).hexdigest()[:10]}.css"


def shown(value: object) -> object:
    """Every text that a template prints, without control characters or overrides of its direction.

    Whitespace stays where it is, at the edges too: a template puts parts together.
    """
    if type(value) is not str or value.isprintable():
        return value
    parts = re.split(r"(\s+)", value)
    return "".join(" " if part.isspace() else printable(part) for part in parts)


def slug(text: str) -> str:
    """``text`` as part of an element's id."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)


@functools.cache
def environment() -> jinja2.Environment:
    """In which all templates are compiled."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "slug": slug,
        "count": lambda number: f"{number:,}" if isinstance(number, int) else number,
        "significant": significant,
        "sentence": _sentence,
    }
    return made


@functools.cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@functools.cache
def _hash(text: str) -> str:
    """``sha256-...``, as a policy names an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sentence(text: str) -> str:
    """``text`` with a capital at its beginning and a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "!", "?")) else ".")
