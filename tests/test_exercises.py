"""The checks of the exercises: what they accept is right, and what they refuse gets one sentence."""

import linecache
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parent.parent
WRONG = yaml.safe_load((ROOT / "tests" / "wrong_answers.yaml").read_text("utf-8"))
SETTINGS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}  # else a lesson sets them

Names = dict[str, Any]
Check = Callable[[str, str], None]

TRAINED = ("C2/3", "C3/3")  # their references train for a minute or more

each_exercise = pytest.mark.parametrize("exercise", WRONG)
each_reference = pytest.mark.parametrize(
    "exercise", [pytest.param(name, marks=pytest.mark.slow if name in TRAINED else ()) for name in WRONG]
)


@cache
def cells(folder: str, lesson: str) -> dict[str, Any]:
    """The code cells of a notebook by their ids."""
    [path] = (ROOT / "notebooks" / folder).glob(f"{lesson}_*.ipynb")
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"}


def run(source: str, names: Names, name: str) -> None:
    """Run code as a cell is run: its source can be looked up afterwards."""
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    exec(compile(source, name, "exec"), names)


def is_check(cell: Any) -> bool:
    return "check" in cell.metadata.get("tags", ())


def defined(lesson: str) -> dict[str, Names]:
    """What the solutions of a lesson have defined before each exercise: their setup, and the exercises before it."""
    names: Names = {"__name__": "__main__"}
    run("from rstar_mini.show.lesson import checking", names, "<import>")
    before = {}
    for cell in cells("solutions", lesson).values():
        if cell.id.startswith("solution-"):
            before[cell.id.removeprefix("solution-")] = dict(names)
        if not is_check(cell):
            run(cell.source, names, f"<{lesson} {cell.id}>")
    return before


@pytest.fixture(scope="module")
def lessons() -> Iterator[Callable[[str], dict[str, Names]]]:
    """The lessons, each run once; their sandboxes are closed at the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.delenv("RSTAR_TIER", raising=False)
        opened: dict[str, dict[str, Names]] = {}
        yield lambda lesson: opened.get(lesson) or opened.setdefault(lesson, defined(lesson))
    for box in {names["box"] for lesson in opened.values() for names in lesson.values() if "box" in names}:
        box.close()


@pytest.fixture
def checked(lessons: Callable[[str], dict[str, Names]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check an answer: its source in place of the stub, then the lesson's own check."""
    monkeypatch.chdir(tmp_path)

    def check(exercise: str, answer: str) -> None:
        lesson, _, number = exercise.partition("/")
        names = dict(lessons(lesson)[number])
        run(answer, names, f"<{exercise} answer>")
        run(cells("", lesson)[f"check-{number}"].source, names, f"<{exercise} check>")

    return check


@each_reference
def test_the_solution_passes(checked: Check, exercise: str) -> None:
    lesson, _, number = exercise.partition("/")
    checked(exercise, cells("solutions", lesson)[f"solution-{number}"].source)


@each_exercise
def test_the_stub_fails_as_the_lesson_shows(checked: Check, exercise: str) -> None:
    lesson, _, number = exercise.partition("/")
    *_, shown = cells("", lesson)[f"check-{number}"].outputs  # a rehearsal's banner stands above
    with pytest.raises(AssertionError) as failed:
        checked(exercise, cells("", lesson)[f"exercise-{number}"].source)
    assert str(failed.value) == shown.evalue


@pytest.mark.parametrize(("exercise", "mistake"), [(name, kind) for name, kinds in WRONG.items() for kind in kinds])
def test_a_wrong_answer_fails_with_a_sentence(checked: Check, exercise: str, mistake: str) -> None:
    with pytest.raises(AssertionError) as failed:
        checked(exercise, WRONG[exercise][mistake])
    assert len(str(failed.value).split()) >= 3 and "does not exist yet" not in str(failed.value)


def test_every_check_is_tried_with_three_wrong_answers() -> None:
    lessons = [path.name[:2] for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    checks = [f"{lesson}/{name}" for lesson in lessons for name, cell in cells("", lesson).items() if is_check(cell)]
    assert checks == [exercise.replace("/", "/check-") for exercise in WRONG]
    assert [name for name, kinds in WRONG.items() if len(kinds) < 4] == []
    assert [name for name, kinds in WRONG.items() if not {"constant", "look-up", "malformed"} <= set(kinds)] == []


def test_an_answer_that_was_not_given_gets_a_sentence(checked: Check) -> None:
    with pytest.raises(AssertionError, match="'share_right' does not exist yet: run the cells above"):
        checked("00/1", "")


def test_an_answer_that_ends_the_program_or_asserts_itself_gets_a_sentence(checked: Check) -> None:
    for answer in ("raise SystemExit", "assert False", "return 1 / 0"):
        with pytest.raises(AssertionError, match="check again"):
            checked("00/1", f"def share_right(q):\n    {answer}\n")
