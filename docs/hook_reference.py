"""The hooks' part of ``hooks.md``, written from :mod:`genbench.hookspecs`: ``python docs/hook_reference.py``.

A hook's signature and contract stand in the page between ``<!-- hook: NAME -->`` and ``<!-- end -->``, under a heading
of their own; what is around these is written by hand. A test holds the page to what this writes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

from genbench import hookspecs

PAGE = Path(__file__).with_name("hooks.md")
PART = re.compile(r"^### `[^`\n]*`\n\n<!-- hook: (?P<name>\w+) -->\n.*?^<!-- end -->$", re.MULTILINE | re.DOTALL)


def hooks() -> dict[str, Callable[..., object]]:
    """Every hook, in the order of a run's life."""
    return {name: each for name, each in vars(hookspecs).items() if hasattr(each, "genbench_spec")}


def part_of(name: str) -> str:
    """A hook's heading, signature and contract in Markdown, between its marks.

    Raises:
        KeyError: if there is no such hook.
    """
    signature = inspect.signature(hooks()[name])  # annotations are strings, as they are written
    arguments = ", ".join(f"{each.name}: {each.annotation}" for each in signature.parameters.values())
    contract = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.getdoc(hooks()[name]) or "").replace("``", "`")
    return (
        f"### `{name}({', '.join(signature.parameters)})`\n\n<!-- hook: {name} -->\n"
        f"```python\ndef {name}({arguments}) -> {signature.return_annotation}\n```\n\n{contract}\n<!-- end -->"
    )


def written(page: str) -> str:
    """The page with each part as the code has it.

    Raises:
        KeyError: if a part is of no hook.
    """
    return PART.sub(lambda found: part_of(found["name"]), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
