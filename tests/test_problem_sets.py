"""The named problem sets, from a local mirror with the Hub's own files, columns and configurations, and from JSONL."""

import json
from pathlib import Path

import pytest

from rstar_mini.errors import UserError
from rstar_mini.problems import load_problems, read_problems
from rstar_mini.problems.sets import SETS, fitting
from rstar_mini.types import Problem

BENCHMARKS = Path(__file__).parents[2] / "shared" / "benchmarks"
CONFIGURED = """---
configs:
- config_name: {0}
  data_files:
  - split: {1}
    path: {2}
- config_name: another
  data_files:
  - split: {1}
    path: {2}
---
"""

MIRROR = {
    "openai/gsm8k": {
        "README.md": CONFIGURED.format("main", "test", "main/test-*"),
        "main/test-00000-of-00001.parquet": [{"question": "3 + 4?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"}],
    },
    "DigitalLearningGmbH/MATH-lighteval": {
        "data/train-00000-of-00001.parquet": [
            {"problem": "Easy", "level": "Level 1", "type": "Algebra", "solution": "So $\\boxed{\\frac{1}{2}}$."},
            {"problem": "Hard", "level": "Level 3", "type": "Geometry", "solution": "First 3, then $\\boxed{9}$."},
            {"problem": "Proof", "level": "Level 3", "type": "Geometry", "solution": "As was to be shown."},
        ],
    },
    "HuggingFaceH4/MATH-500": {
        "test.jsonl": [
            {
                "problem": "Find x.",
                "solution": "It is $\\boxed{8}$.",
                "answer": "2^3",
                "subject": "Algebra",
                "level": 5,
                "unique_id": "test/algebra/1.json",
            }
        ],
    },
    "HuggingFaceH4/aime_2024": {
        "data/train-00000-of-00001.parquet": [
            {"id": 60, "problem": "Walk.", "solution": "Long.", "answer": "204", "url": "u", "year": "2024"}
        ],
    },
    "math-ai/amc23": {"test-00000-of-00001.parquet": [{"id": 0, "question": "Meet.", "answer": "27.0", "url": "u"}]},
    "Hothan/OlympiadBench": {
        "README.md": CONFIGURED.format("OE_TO_maths_en_COMP", "train", "OlympiadBench/OE_TO_maths_en_COMP/*.parquet"),
        "OlympiadBench/OE_TO_maths_en_COMP/OE_TO_maths_en_COMP.parquet": [
            {
                "id": 1606,
                "question": "Both roots?",
                "solution": ["They are $1$ and \\boxed{2}."],
                "final_answer": ["$1$", "$\\frac{2}{3}$"],
                "difficulty": "Competition",
                "subfield": "Algebra",
                "subject": "Math",
            }
        ],
    },
    "di-zhang-fdu/College_Math_Test": {
        "college-math-test.jsonl": [
            {"data_source": "book", "question_number": "1.1", "question": "Simplify.", "answer": "$10-4 n$"}
            | {"license": "free", "data_topic": "algebra"}
        ],
    },
    "MARIO-Math-Reasoning/Gaokao2023-Math-En": {
        "Gaokao2023-Math-En.jsonl": [{"id": 3, "question": "Sets?", "answer": "5", "source": "gaokao", "lang": "en"}],
    },
    "KbsdJames/Omni-MATH": {
        "test.jsonl": [
            {
                "domain": ["Algebra"],
                "difficulty": 4.5,
                "problem": "Half",
                "solution": "s",
                "answer": "1",
                "source": "a",
            },
            {
                "domain": ["Algebra"],
                "difficulty": 8.0,
                "problem": "Eight",
                "solution": "s",
                "answer": "2",
                "source": "a",
            },
        ],
    },
    "ChilleD/SVAMP": {
        "data/test-00000-of-00001.parquet": [
            {"ID": "c-1", "Body": "Nell had 5 cards.", "Question": "How many are 2 more?", "Answer": "7.0"}
            | {"Equation": "( 5.0 + 2.0 )", "Type": "Addition", "question_concat": "both"}
        ],
    },
    "AI-MO/NuminaMath-CoT": {
        "data/train-00000-of-00001.parquet": [
            {"source": "olympiads", "problem": "Prove it.", "solution": "By induction.", "messages": []},
            {"source": "orca_math", "problem": "2 + 2?", "solution": "$\\boxed{4}$", "messages": []},
            {"source": "olympiads", "problem": "Find y.", "solution": "So $y = \\boxed{3}$.", "messages": []},
        ],
    },
    "meta-math/MetaMathQA": {
        "MetaMathQA-395K.json": [
            {"type": "GSM_Rephrased", "query": "What do 3 and 7 make?", "original_question": "3 + 7?"}
            | {"response": "We get $\\boxed{3 + 7}$.\n#### 10\nThe answer is: 10"}
        ],
    },
}

EXPECTED = {
    "gsm8k": Problem("gsm8k-0", "3 + 4?", "7"),
    "math": Problem("math-0", "Easy", "\\frac{1}{2}", 1, "Algebra"),
    "math500": Problem("test/algebra/1.json", "Find x.", "2^3", 5, "Algebra"),
    "aime2024": Problem("60", "Walk.", "204"),
    "amc23": Problem("0", "Meet.", "27.0"),
    "olympiadbench": Problem("1606", "Both roots?", "1, \\frac{2}{3}", None, "Algebra"),
    "collegemath": Problem("collegemath-0", "Simplify.", "$10-4 n$", None, "algebra"),
    "gaokao2023en": Problem("3", "Sets?", "5"),
    "omnimath": Problem("omnimath-0", "Half", "1", 4),
    "svamp": Problem("svamp-0", "Nell had 5 cards. How many are 2 more?", "7.0", None, "Addition"),
    "numinamath": Problem("numinamath-1", "2 + 2?", "4", None, "orca_math"),
    "metamath": Problem("metamath-0", "What do 3 and 7 make?", "10", None, "GSM_Rephrased"),
}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set in a folder of its Hub name, with a few rows of its form."""
    datasets = pytest.importorskip("datasets")
    root = tmp_path_factory.mktemp("hub")
    for hub, files in MIRROR.items():
        for name, rows in files.items():
            path = root / hub / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(rows, str):
                path.write_text(rows)
            elif path.suffix == ".parquet":
                datasets.Dataset.from_list(rows).to_parquet(str(path))
            else:
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


@pytest.fixture
def at_the_mirror(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The client of the Hub takes a folder of a set's name, where there is one, for the set."""
    import datasets

    monkeypatch.chdir(mirror)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(mirror / "cache"))
    return mirror


def test_every_named_set_is_there_with_its_licence() -> None:
    assert set(SETS) == set(EXPECTED)
    assert {known.hub for known in SETS.values()} == set(MIRROR)
    assert all(known.licence and known.about for known in SETS.values())


@pytest.mark.parametrize("name", SETS)
def test_a_set_loads_by_its_short_name(at_the_mirror, name: str) -> None:
    split = "test" if "test" in SETS[name].splits and name not in ("math", "numinamath") else "train"
    assert load_problems(name, split)[0] == EXPECTED[name]


@pytest.mark.parametrize("name", SETS)
def test_rows_of_a_set_read_alike_from_jsonl(tmp_path, name: str) -> None:
    rows = next(rows for rows in MIRROR[SETS[name].hub].values() if isinstance(rows, list))
    row = next(row for row in rows if row.get("solution") not in ("By induction.", "As was to be shown."))
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    [problem] = load_problems(str(path))
    expected = EXPECTED[name]
    assert (problem.question, problem.answer, problem.level, problem.family) == (
        expected.question,
        expected.answer,
        expected.level,
        expected.family,
    )
    assert fitting(tuple(row)).question == SETS[name].columns.question


def test_a_set_loads_by_its_hub_name_and_from_a_folder(at_the_mirror) -> None:
    by_name, in_folder = load_problems("openai/gsm8k", "test"), load_problems(f"{at_the_mirror}/openai/gsm8k", "test")
    assert by_name == in_folder == [EXPECTED["gsm8k"]]


def test_a_test_set_cannot_be_had_for_training(at_the_mirror) -> None:
    with pytest.raises(UserError, match="the problem set aime2024 has no split 'train'; use test"):
        load_problems("aime2024", "train")
    with pytest.raises(UserError, match="the problem set gsm8k has no split 'dev'; use train or test"):
        load_problems("gsm8k", "dev")


def test_rows_without_a_final_answer_are_counted(at_the_mirror) -> None:
    problems, without_answer = read_problems("math", "train")
    assert ([problem.question for problem in problems], without_answer) == (["Easy", "Hard"], 1)
    assert read_problems("math", "train", limit=1)[1] == 0, "what comes after the limit is not read"
    with pytest.raises(UserError, match=r"numinamath: no problem with .*aops.*; rows without a final answer: 1"):
        load_problems("numinamath", families=["aops"])


def test_rows_of_jsonl_whose_answer_is_empty_are_counted_too(tmp_path) -> None:
    rows = [{"question": "a", "answer": "1"}, {"question": "b", "answer": ""}, {"question": "c", "answer": None}]
    rows.append({"problem": "Prove it.", "solution": "By induction."})
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems, without_answer = read_problems(str(path))
    assert ([problem.question for problem in problems], without_answer) == (["a"], 3)


def test_levels_and_families_choose(at_the_mirror) -> None:
    assert [p.question for p in load_problems("math", levels=[3])] == ["Hard"]
    assert [p.question for p in load_problems("math500", "test", levels=[5])] == ["Find x."]
    assert [p.question for p in load_problems("omnimath", "test", levels=[4, 5])] == ["Half"]
    assert [p.question for p in load_problems("omnimath", "test", levels=[8])] == ["Eight"]
    assert [p.question for p in load_problems("numinamath", families=["olympiads"])] == ["Find y."]


@pytest.mark.skipif(not BENCHMARKS.exists(), reason="needs the benchmark files beside the project")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gsm8k_train", 7473),
        ("math500_test", 250),
        ("aime2024", 30),
        ("amc23", 40),
        ("olympiadbench", 675),
        ("gaokao2023en", 383),  # two have their answer in the question only
        ("collegemath", 2818),
        ("svamp_test", 250),
    ],
)
def test_benchmark_files_load_whole(name: str, count: int) -> None:
    problems = load_problems(str(BENCHMARKS / f"{name}.jsonl"))
    assert len(problems) == len({problem.id for problem in problems}) == count
    assert all(problem.question and problem.answer for problem in problems)
