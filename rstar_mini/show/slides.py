"""Lessons as slides for a projector: `python -m rstar_mini.show.slides` marks their cells, and nbconvert makes a page.

jupyter nbconvert --to slides --SlidesExporter.reveal_scroll=True notebooks/03_tree_search.ipynb
"""

from __future__ import annotations

from collections.abc import Iterator

import nbformat
from nbformat import NotebookNode

from rstar_mini.show.badge import CELL, lessons

TALKS = ("00", "03", "05", "07")  # the lessons that are shown to a room
HIDDEN = {CELL, "begin"}


def marked(notebook: NotebookNode) -> NotebookNode:
    """Mark every cell: a section begins a slide, text goes on below it, and code stands under the text before it.

    Exercises are no slides: the room does them in the notebook.
    """
    for cell, kind in zip(notebook.cells, _kinds(notebook), strict=True):
        cell.metadata.pop("slideshow", None)
        if kind:
            cell.metadata["slideshow"] = {"slide_type": kind}
    return notebook


def _kinds(notebook: NotebookNode) -> Iterator[str]:
    exercises, before = False, ""
    for cell in notebook.cells:
        if cell.source.startswith("#") and cell.cell_type == "markdown" and not cell.source.startswith("###"):
            exercises = "Exercises" in cell.source.partition("\n")[0]
            kind = "slide"
        else:
            kind = "" if (before, cell.cell_type) == ("markdown", "code") else "subslide"
        yield "skip" if exercises or cell.id in HIDDEN else kind
        before = cell.cell_type


if __name__ == "__main__":
    for path in lessons():
        if path.name[:2] in TALKS:
            nbformat.write(marked(nbformat.read(path, as_version=4)), path)
            print(path.name)
