"""Problem files: read or refused by name before any work, and the same for the whole of a run."""

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from small_runs import SMALL, Until
from typer.testing import CliRunner

import rstar_mini
from rstar_mini.cli import app
from rstar_mini.errors import UserError
from rstar_mini.evolution.problems import gather, path_and_split
from rstar_mini.problems import load_problems
from rstar_mini.problems.load import hub_name
from rstar_mini.recipes import load_recipe

ROWS = [{"question": f"How many legs have {n} cats?", "answer": str(4 * n)} for n in range(1, 6)]
GOOD = json.dumps(ROWS[0]) + "\n"


def lines(path: Path, rows=ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refused(source: str | Path) -> str:
    with pytest.raises(UserError) as caught:
        load_problems(str(source))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_ids_that_come_twice_are_refused(tmp_path):
    rows = [row | {"id": number % 3} for number, row in enumerate(ROWS)]
    assert "ids belong to several problems: '0', '1'" in refused(lines(tmp_path / "mine.jsonl", rows))
    own = [ROWS[0] | {"id": "mine-2"}, ROWS[1]]  # an id of one's own, and the one that a row without gets
    assert "'mine-2'" in refused(lines(tmp_path / "mine.jsonl", own))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('{"question": "bad \\ud800 char", "answer": "1"}', "\\ud800 is half a character"),
        ('{"question": "2 + 2?", "answer": "\\udfff4"}', "\\udfff is half a character"),
        ('{"question": "2 + 2?", "answer": "4", "id": "\\ud800"}', "half a character"),
        ('{"question": "2 + 2?", "answer": "4", "type": "\\ud800", "family": "\\ud801"}', "half a character"),
        ('{"question": "2 + 2?", "answer": "4", "level": "' + "9" * 5000 + '"}', "a level of 5000 digits"),
        ('{"question": "2 + 2?", "answer": "4", "level": 1e300}', "is not from 0 to 999999"),
        ('{"question": "2 + 2?", "answer": "4", "level": ' + "9" * 5000 + "}", "digits"),
        ('{"question": "2 + 2?", "answer": "4", "other": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deep"),
        (
            '{"question": "2 + 2?", "answer": "4", "other": ' + '{"a":' * 100_000 + "1" + "}" * 100_001,
            "nested too deep",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line(tmp_path, row, expected):
    (tmp_path / "mine.jsonl").write_text(GOOD + "\n" + row + "\n")
    message = refused(tmp_path / "mine.jsonl")
    assert expected in message and "mine.jsonl, line 3" in message and len(message) < 400


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path):
    (tmp_path / "mine.jsonl").write_bytes(GOOD.encode() + b'{"question": "caf\xe9?", "answer": "1"}\n')
    assert "line 2: cannot be read as UTF-8 text" in refused(tmp_path / "mine.jsonl")
    (tmp_path / "mine.jsonl").write_bytes(GOOD.encode("utf-16"))
    assert "it is UTF-16" in refused(tmp_path / "mine.jsonl")


def test_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "mine.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_problems(str(tmp_path / "mine.jsonl"))[0].answer == "4"


def test_local_files_are_read_by_their_ending(tmp_path):
    expected = [row["answer"] for row in ROWS]
    lines(tmp_path / "MINE.JSONL")
    (tmp_path / "list.json").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "inside.json").write_text(json.dumps({"version": 1, "data": ROWS}))
    lines(tmp_path / "lines.json")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "mine.parquet")
    for name in ("MINE.JSONL", "list.json", "inside.json", "lines.json", "mine.parquet"):
        assert [problem.answer for problem in load_problems(str(tmp_path / name))] == expected, name
        assert hub_name(str(tmp_path / name)) is None


@pytest.mark.parametrize("name", ["x.gguf", "mine.csv", "mine.jsonl.gz", "mine"])
def test_other_files_are_refused_by_their_ending(tmp_path, name):
    (tmp_path / name).write_text(GOOD)
    assert "a problem file ends in .jsonl, .json, .parquet" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["none.json", "none.parquet", "NONE.JSONL"])
def test_files_that_are_not_there_are_no_names_of_the_hub(tmp_path, name):
    assert "no such file" in refused(tmp_path / name)


def test_a_broken_parquet_file(tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 and nothing more")
    assert "cannot be read as Parquet" in refused(tmp_path / "mine.parquet")


def test_a_folder_in_the_way_is_taken_and_not_the_set_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub_name("gsm8k") == "openai/gsm8k"
    (tmp_path / "gsm8k").mkdir()
    assert hub_name("gsm8k") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gsm8k:train", ("gsm8k", "train")),
        ("math500", ("math500", "test")),
        ("C:\\data\\tests", ("C:\\data\\tests", "test")),
        ("C:tests", ("C:tests", "test")),
        ("D:/sets/mine:train", ("D:/sets/mine", "train")),
        ("mine: 2.jsonl", ("mine: 2.jsonl", "test")),
        ("MINE:1.JSONL", ("MINE:1.JSONL", "test")),
    ],
)
def test_a_test_set_is_cut_at_its_split_alone(name, expected):
    assert path_and_split(name) == expected


def test_a_path_with_a_colon_that_is_there_is_not_cut(tmp_path):
    (tmp_path / "a:train").mkdir()
    assert path_and_split(f"{tmp_path}/a:train") == (f"{tmp_path}/a:train", "test")


@pytest.mark.parametrize(
    "named", ["../secret.jsonl", "/etc/secret.jsonl", "https://host/x", "hf://datasets/a/b", "~/x", "D:/x"]
)
@pytest.mark.parametrize(
    "form", ["data_files: {!r}", "data_files: [{!r}]", "data_files: [{{split: train, path: {!r}}}]"]
)
def test_a_data_set_may_name_files_of_its_folder_only(tmp_path, named, form):
    lines(tmp_path / "secret.jsonl")
    folder = tmp_path / "set"
    folder.mkdir()
    lines(folder / "train.jsonl")
    card = "---\nconfigs:\n- config_name: default\n  " + form.format(named) + "\n---\n"
    (folder / "README.md").write_text(card)
    assert f"names {named}, which is not in its folder" in refused(folder)


def test_a_data_set_that_names_its_own_files_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    lines(tmp_path / "set" / "mine.jsonl")
    card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: train, path: mine.jsonl}\n---\n"
    (tmp_path / "set" / "README.md").write_text(card)
    assert len(load_problems(str(tmp_path / "set"))) == len(ROWS)


TEMPLATE = (
    "A basket holds {a} apples and Tom puts {b} more apples in it, so how many apples does the basket of Tom hold?"
)


def from_template(path: Path, first: int, n: int) -> Path:
    numbers = range(first, first + n)
    return lines(path, [{"question": TEMPLATE.format(a=a, b=a + 7), "answer": str(2 * a + 7)} for a in numbers])


def test_a_set_from_a_template_is_not_decontaminated_away(tmp_path):
    mine, held = from_template(tmp_path / "mine.jsonl", 0, 50), from_template(tmp_path / "held.jsonl", 48, 10)
    changes = ["problems.limit=null", "problems.families=null", "problems.levels=null", f"problems.path={mine}"]
    changes += [f"evaluation.path={held}", "evaluation.limit=null"]
    with pytest.raises(UserError) as caught:
        gather(load_recipe("tiny", changes))
    message = str(caught.value)
    assert "every problem stands in a test set" in message and message.count("A basket holds") == 6
    assert "problems.decontaminate_by=text" in message and "leaves out 2" in message
    gathered = gather(load_recipe("tiny", [*changes, "problems.decontaminate_by=text"]))
    assert gathered.counts["training"] == 48 and gathered.counts["contaminated"] == 2


@pytest.mark.parametrize("share", [10, 11])
def test_a_fifth_may_go_and_more_may_not(tmp_path, share):
    mine = lines(
        tmp_path / "mine.jsonl", [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(50)]
    )
    held = lines(tmp_path / "held.jsonl", [{"question": f"What is {n} + {n}?", "answer": "1"} for n in range(share)])
    recipe = load_recipe("tiny", ["problems.families=null", "problems.levels=null", f"problems.path={mine}",
                                  f"evaluation.path={held}"])  # fmt: skip
    if share == 10:
        assert gather(recipe).counts["training"] == 40
    else:
        with pytest.raises(UserError, match="11 of 50 problems stand in a test set"):
            gather(recipe)


def test_a_file_that_changed_under_a_run_is_refused(tmp_path):
    rows = [problem.to_json() for problem in load_problems("generated", "train", 8, ["money"], [1])]
    mine, held = lines(tmp_path / "mine.jsonl", rows), lines(tmp_path / "held.jsonl", ROWS)
    changes = [*SMALL, f"problems.path={mine}", f"evaluation.path={held}", "evaluation.limit=2"]

    def go_on() -> None:
        with pytest.raises(KeyboardInterrupt):
            rstar_mini.evolve("tiny", tmp_path / "run", 1, changes, Until("round 1: search"))

    go_on()
    lines(mine, [{"question": "How many wheels have 3 cars?", "answer": "12"}, *rows])  # a row put in front
    with pytest.raises(UserError, match="training problems: 8 before, 9 now, and the first that differs is number 1"):
        go_on()
    lines(mine, [*rows[:5], rows[5] | {"answer": "17"}, *rows[6:]])
    with pytest.raises(UserError, match="8 before, 8 now, and the first that differs is number 6"):
        go_on()
    lines(mine, rows)
    lines(held, ROWS[1:])
    with pytest.raises(UserError, match="heldout problems: 2 before, 2 now"):
        go_on()
    lines(held, ROWS)
    go_on()
    assert rstar_mini.load_run(tmp_path / "run").verify() == []


@pytest.mark.parametrize("row", ['{"question": "bad \\ud800", "answer": "1"}', GOOD.strip()])
def test_nothing_is_begun_with_bad_rows(tmp_path, row):
    (tmp_path / "mine #1: a.jsonl").write_text(
        GOOD.replace("}", ', "id": "x"}') + row.replace("}", ', "id": "x"}') + "\n"
    )
    line = ["evolve", "tiny", "--run", str(tmp_path / "run"), "--set", f"problems.path={tmp_path}/mine #1: a.jsonl"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 2 and "mine #1: a.jsonl" in result.stderr and not (tmp_path / "run").exists()
