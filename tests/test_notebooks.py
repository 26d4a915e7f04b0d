"""The notebooks run from top to bottom in a fresh kernel, agree with the package, and are stored as a run left them."""

import ast
import re
import time
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
LONGEST_CELL = 15  # lines
LONGEST_RUN = 120  # seconds
MACHINE_PATH = re.compile(r"(?<![\w.:/<])(?:/(?:home|root|tmp|usr|opt|mnt|var|Users|private)/|[A-Z]:\\|~/)")

each_notebook = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda p: f"{p.parent.name}/{p.stem}")


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def definitions(nodes):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in nodes if isinstance(node, kinds) and not node.name.startswith("_")}


def public_names():
    """Whatever a module of the package defines on its outermost level."""
    return set().union(*(definitions(ast.parse(f.read_text()).body) for f in (ROOT / "rstar_mini").rglob("*.py")))


def output_texts(cell):
    """Everything that a cell shows but its pictures, which are base64."""
    for output in cell.outputs:
        data = output.get("data", {})
        yield from (str(content) for kind, content in data.items() if not kind.startswith("image/"))
        yield output.get("text", "")
        yield from output.get("traceback", ())


def test_there_are_notebooks_and_every_lesson_has_its_solutions():
    assert LESSONS
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS if tagged(read(path), "check")]


@each_notebook
def test_it_is_valid_and_stores_no_widget_state(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata


@each_notebook
def test_its_cells_are_short(path):
    long = [cell.id for cell in code_cells(read(path)) if len(cell.source.splitlines()) > LONGEST_CELL]
    assert long == []


@each_notebook
def test_it_defines_nothing_that_the_package_has(path):
    python = TransformerManager().transform_cell  # turns %magic into Python
    code = "\n".join(python(cell.source) for cell in code_cells(read(path)))
    assert "search" in public_names()
    assert definitions(ast.walk(ast.parse(code))) & public_names() == set()


@each_notebook
def test_its_outputs_come_from_one_whole_run(path):
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1)), "run and save it with the command in notebooks/README.md"


@each_notebook
def test_it_names_no_path_of_the_machine_it_ran_on(path):
    for cell in read(path).cells:
        for text in (cell.source, *(output_texts(cell) if cell.cell_type == "code" else ())):
            assert not MACHINE_PATH.search(text) and str(ROOT) not in text, f"cell {cell.id}: {text}"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_the_solutions_pass_the_very_checks_of_the_lesson(path):
    lesson, solutions = read(ROOT / "notebooks" / path.name), read(path)
    checks = [cell.source for cell in tagged(lesson, "check")]
    assert checks and checks == [cell.source for cell in tagged(solutions, "check")]
    assert tagged(solutions, "raises-exception") == []


@each_notebook
@pytest.mark.notebook
def test_it_runs(path, tmp_path, monkeypatch):
    """In a kernel of the Python that runs the tests, in an empty folder; only the checks of stubs fail."""
    write_kernel_spec(tmp_path / "jupyter" / "kernels" / "python3")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "work").mkdir()
    notebook, start = read(path), time.monotonic()
    resources = {"metadata": {"path": str(tmp_path / "work")}}
    NotebookClient(notebook, kernel_name="python3", resources=resources, timeout=LONGEST_RUN).execute()
    assert time.monotonic() - start < LONGEST_RUN
    cells = code_cells(notebook)
    assert cells and all(cell.execution_count for cell in cells)
    errors = {cell.id: output.ename for cell in cells for output in cell.outputs if output.output_type == "error"}
    assert errors == {cell.id: "AssertionError" for cell in tagged(notebook, "raises-exception")}
