"""The example notebook: that what it calls is there, and, on demand, that it runs from its first cell to its last."""

from __future__ import annotations

import ast
import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

import genbench

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook" / "genbench.ipynb"
SECONDS = 300
"""For a cell."""

SHOWS = {
    "genbench.list_benchmarks()": "text/html",
    "report": "text/html",
    "genbench.table(": "text/html",
    "genbench.compare(": "text/html",
    "samples": "image/png",
    "frame[": "text/html",
    "import matplotlib": "image/png",
    'genbench.run("./mean_image.py"': "text/html",
}
"""What the first or the last line of a cell begins with, and what the cell has to show."""


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    """Those with code, as they are in the repository; ``source`` is a text."""
    document = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    return [{**cell, "source": "".join(cell["source"])} for cell in code]


def begins(cell: dict[str, Any], words: str) -> bool:
    lines = cell["source"].splitlines()
    return any(lines[end].startswith(words) for end in (0, -1))


def test_the_notebook_is_kept_without_its_outputs(cells: list[dict[str, Any]]) -> None:
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}


def test_every_call_of_genbench_in_the_notebook_is_one_that_it_has(cells: list[dict[str, Any]]) -> None:
    called = set()
    for cell in cells:
        source = cell["source"]
        if source.startswith("%%writefile"):
            source = source.partition("\n")[2]
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("genbench."):
                name = ast.unparse(node.func).removeprefix("genbench.")
                keywords = {keyword.arg: None for keyword in node.keywords}
                inspect.signature(getattr(genbench, name)).bind(*node.args, **keywords)
                called.add(name)
    assert called == {"list_benchmarks", "run", "table", "compare", "sample", "score", "load_results"}


def test_what_the_executed_notebook_has_to_show_is_of_cells_that_there_are(cells: list[dict[str, Any]]) -> None:
    assert [words for words in SHOWS if not any(begins(cell, words) for cell in cells)] == []


@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not os.environ.get("GENBENCH_TEST_NOTEBOOK"),
    reason="trains five runs in a kernel of its own, 35 s of one core: GENBENCH_TEST_NOTEBOOK=1 pytest "
    "tests/test_notebook.py runs it",
)
def test_every_cell_of_the_notebook_runs_and_shows_what_it_ought_to(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    for words, form in SHOWS.items():
        of = [cell for cell in notebook.cells if cell["cell_type"] == "code" and begins(cell, words)]
        shown = [kind for cell in of for output in cell["outputs"] for kind in output.get("data", {})]
        assert form in shown, words
    written = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert written == []
