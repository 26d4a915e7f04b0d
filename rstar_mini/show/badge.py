"""The badge that opens a lesson in Colab: `python -m rstar_mini.show.badge` writes it into every lesson.

It stands in a cell of its own, which nothing else writes. Without an ADDRESS it leads to what notebooks/README.md says
of Colab.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from rstar_mini.paths import notebooks_dir

ADDRESS = ""  # of the project on GitHub, such as https://github.com/OWNER/rstar-mini: the one place that knows it
CELL = "badge"  # the cell's id
IMAGE = "[![Open in Colab](colab.svg)]"
HELP = "README.md#where-to-open-them"


def badge(name: str, address: str = ADDRESS) -> str:
    """The Markdown of the lesson of this file name."""
    if not address:
        return f"{IMAGE}({HELP})"
    repository = address.removeprefix("https://github.com/").removesuffix(".git").strip("/")
    link = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{name}"
    return f"{IMAGE}({link}) In Colab, first run this in a cell of its own: `!pip install -q git+{address}`"


def with_badge(notebook: NotebookNode, text: str) -> NotebookNode:
    """Put the badge under the lesson's title, in the place of the one that is there, whose marks for slides stay."""
    marks: dict[str, Any] = next((cell.metadata for cell in notebook.cells if cell.id == CELL), {})
    notebook.cells = [cell for cell in notebook.cells if cell.id != CELL]
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(text, id=CELL, metadata=marks))
    return notebook


def lessons() -> list[Path]:
    """The files of all lessons, without their solutions."""
    return sorted(notebooks_dir().glob("*.ipynb"))


if __name__ == "__main__":
    for path in lessons():
        nbformat.write(with_badge(nbformat.read(path, as_version=4), badge(path.name)), path)
        print(path.name, badge(path.name))
