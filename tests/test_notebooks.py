"""The notebooks run from top to bottom in a fresh kernel, agree with the package, and are stored as a run left them."""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from IPython.core.inputtransformer2 import TransformerManager

from rstar_mini.cli import app
from rstar_mini.show.badge import badge, with_badge
from rstar_mini.show.notebooks import WIDGET, cost_card, execute
from rstar_mini.show.slides import TALKS, marked

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
REHEARSED = ROOT / "notebooks" / "11_phi3_mini_on_your_gpu.ipynb"
LONGEST_CELL = 15  # lines
LONGEST_RUN, MEAN_RUN = 120, 30  # seconds
LONGEST_TRAINING = 600  # seconds that the reference of a capstone may take
EXERCISE = re.compile(r"^### \d+\.\d+ .+ \((easy|medium|hard), \d+ minutes\)$", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.:/<])(?:/(?:home|root|tmp|usr|opt|mnt|var|Users|private)/|[A-Z]:\\|~/)")
PROJECT_PATH = re.compile(r"`((?:rstar_mini|notebooks|data|tests|solutions)/[\w./-]*)`|\b([0-9]{2}_\w+\.ipynb)")
OFFLINE = """
import socket

def _refuse(self, address):
    here = ("127.", "::1", "localhost")
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(here):
        raise OSError(f"a notebook of the replay tier reaches for the network: {address}")
    return _connect(self, address)

_connect, socket.socket.connect = socket.socket.connect, _refuse
"""

each_notebook = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda p: f"{p.parent.name}/{p.stem}")
each_run = pytest.mark.parametrize(  # the default tests run the cells of the solutions too, and check them
    "path",
    [*LESSONS, *(pytest.param(path, marks=pytest.mark.slow) for path in SOLUTIONS)],
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", ())]


def prose(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def definitions(nodes):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in nodes if isinstance(node, kinds) and not node.name.startswith("_")}


@cache  # the whole package is parsed
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


def printed(cell):
    """What a cell prints and shows, as text; a stub's check fails with a message."""
    texts = [o.get("text") or o.get("data", {}).get("text/plain") or o.get("evalue", "") for o in cell.outputs]
    return "".join(texts)  # a kernel may cut one stream into several pieces


def test_there_are_twelve_lessons_and_three_capstones_and_every_one_has_its_solutions():
    assert [path.name[:2] for path in LESSONS] == [*(f"{number:02d}" for number in range(12)), "C1", "C2", "C3"]
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS]


@each_notebook
def test_it_is_valid_and_stores_no_widgets(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    stored = [cell.id for cell in code_cells(notebook) for o in cell.outputs if WIDGET in o.get("data", {})]
    assert stored == []  # without their kernel they show an error in the place of the picture


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


@each_notebook
def test_every_command_and_path_that_it_names_is_there(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert set(re.findall(r"\brstar-mini ([a-z]+)\b", text)) <= commands
    for module in re.findall(r"python -m (rstar_mini[\w.]*\w)", text):
        assert importlib.util.find_spec(module), module
    for named, notebook in PROJECT_PATH.findall(text):
        places = [ROOT / named, ROOT / "notebooks" / named] if named else [ROOT / "notebooks" / notebook]
        assert any(place.exists() for place in places), named or notebook


@each_lesson
def test_it_says_what_it_costs_and_what_it_teaches(path):
    notebook = read(path)
    assert re.match(rf"# {path.name[:2]} · \S.*\n\n\*\*.+\*\*\n", notebook.cells[0].source, re.DOTALL)
    assert cost_card(notebook).keys() == {"replay", "live"}
    assert cost_card(notebook)["replay"].seconds <= LONGEST_RUN
    assert "You will" in prose(notebook) and re.search(r"^## \d+ Limits", prose(notebook), re.MULTILINE)


def test_the_replay_tier_is_quick_on_average():
    assert sum(cost_card(read(path))["replay"].seconds for path in LESSONS) <= MEAN_RUN * len(LESSONS)


def test_every_output_of_a_rehearsal_says_that_it_is_one():
    """From the cell on that sets the banner: nothing may pass for Phi-3-mini's."""
    [begin, *shown] = [c for c in code_cells(read(REHEARSED)) if c.outputs]
    assert begin.id == "begin" and len(shown) > 20
    assert [cell.id for cell in shown if not printed(cell).startswith("rehearsal: a Phi-3 of 0.9 M")] == []


@each_lesson
def test_it_has_graded_exercises_with_hints_and_checks(path):
    notebook = read(path)
    checks = tagged(notebook, "check")
    assert 3 <= len(checks) <= 5
    assert len(EXERCISE.findall(prose(notebook))) == prose(notebook).count("<summary>Hint") == len(checks)
    assert checks == tagged(notebook, "raises-exception")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda p: p.stem)
def test_the_solutions_pass_the_very_checks_of_the_lesson(path):
    lesson, solutions = read(ROOT / "notebooks" / path.name), read(path)
    checks = [cell.source for cell in tagged(lesson, "check")]
    assert checks and checks == [cell.source for cell in tagged(solutions, "check")]
    assert tagged(solutions, "raises-exception") == []


@each_run
@pytest.mark.notebook
def test_it_runs_and_shows_what_is_stored(path, tmp_path, monkeypatch):
    """In a kernel of the Python that runs the tests, offline and in an empty folder; only the checks of stubs fail.

    Cells tagged "varies" show times or versions.
    """
    write_kernel_spec(tmp_path / "jupyter" / "kernels" / "python3")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-offline.py").write_text(OFFLINE)
    (tmp_path / "work").mkdir()
    notebook, stored = read(path), read(path)
    cost = execute(notebook, tmp_path / "work")

    cells = code_cells(notebook)
    assert cells and all(cell.execution_count for cell in cells)
    errors = {cell.id: output.ename for cell in cells for output in cell.outputs if output.output_type == "error"}
    assert errors == {cell.id: "AssertionError" for cell in tagged(notebook, "raises-exception")}
    for now, before in zip(cells, code_cells(stored), strict=True):
        if "varies" not in now.metadata.get("tags", ()):
            assert printed(now) == printed(before), f"cell {now.id}"
    assert cost.seconds < (LONGEST_TRAINING if path.name[0] == "C" else LONGEST_RUN)
    if said := cost_card(notebook).get("replay"):
        # Machines differ, and other work slows them down: a card is wrong when it is far off.
        assert said.seconds / 5 - 5 < cost.seconds < 4 * said.seconds + 30
        assert said.gigabytes / 2 < cost.gigabytes < 1.25 * said.gigabytes


# --- words for every image, the badge, slides ----------------------------------------------------------------------

# Images of cells that a run of the lessons has not given words yet. May only get shorter.
WITHOUT_WORDS = set("00/explored 07/scaling 07/ceiling 07/helped-explore 07/harmed-explore 10/tokens-compared".split())


@each_notebook
def test_every_image_has_a_text_alternative(path):
    silent = {
        f"{path.name[:2]}/{cell.id}"
        for cell in code_cells(read(path))
        for output in cell.outputs
        if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt")
    }
    assert silent <= WITHOUT_WORDS, "show a rstar_mini.show.picture.Picture, and set its words"


@each_lesson
def test_its_badge_is_the_one_that_the_command_writes(path):
    notebook = read(path)
    assert [cell.source for cell in notebook.cells if cell.id == "badge"] == [badge(path.name)], (
        "run: python -m rstar_mini.show.badge"
    )
    again = with_badge(with_badge(notebook, "one"), badge(path.name, "https://github.com/me/mine.git"))
    shown = [cell.source for cell in again.cells if cell.id == "badge"]
    assert len(shown) == 1 and again.cells[1].id == "badge"
    assert again.cells[1].metadata == read(path).cells[1].metadata  # the mark for slides stays
    assert f"(https://colab.research.google.com/github/me/mine/blob/main/notebooks/{path.name})" in shown[0]
    assert "pip install -q git+https://github.com/me/mine.git" in shown[0]


def test_the_badge_needs_no_network_and_leads_to_help():
    image, link = re.fullmatch(r"\[!\[Open in Colab\]\((.+?)\)\]\((.+)\)", badge("00_start_here.ipynb", "")).groups()
    assert (ROOT / "notebooks" / image).read_text().startswith("<svg")
    file, heading = link.split("#")
    headings = re.findall("^#+ (.+)$", (ROOT / "notebooks" / file).read_text(), re.MULTILINE)
    assert heading in [text.lower().replace(" ", "-") for text in headings]


@pytest.mark.parametrize("name", TALKS)
def test_its_cells_are_marked_for_slides(name):
    [path] = [path for path in LESSONS if path.name.startswith(name)]
    kinds = {cell.id: cell.metadata.get("slideshow", {}).get("slide_type") for cell in read(path).cells}
    sections = [c.id for c in read(path).cells if c.cell_type == "markdown" and re.match("##? ", c.source)]
    assert {kinds[cell] for cell in sections} == {"slide", "skip"} and kinds["badge"] == kinds["begin"] == "skip"
    assert {kinds[cell.id] for cell in tagged(read(path), "check")} == {"skip"}


def test_nbconvert_makes_slides_of_a_lesson():
    slides = pytest.importorskip("nbconvert.exporters.slides")
    notebook = marked(read(LESSONS[0]))
    page, _ = slides.SlidesExporter(reveal_scroll=True).from_notebook_node(notebook)
    kinds = [cell.metadata.get("slideshow", {}).get("slide_type", "-") for cell in notebook.cells]
    assert page.count("<section>") - kinds.count("slide") == kinds.count("slide") + kinds.count("subslide")
    assert "Start here" in page and "data:image/png;base64" in page and "check-1" not in page
