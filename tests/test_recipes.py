"""Recipes: what ships is valid, changes apply, and every mistake is one helpful line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rstar_mini.errors import UserError
from rstar_mini.recipes import Recipe, differences, load_recipe, recipe_names

VALID = "name: m\nrounds: [{annotation: ppm}]\n"


def refused(name: str | Path, *overrides: str) -> str:
    """The one line with which a recipe is refused."""
    with pytest.raises(UserError) as caught:
        load_recipe(str(name), overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_shipped_recipes_are_valid_and_carry_their_own_name() -> None:
    assert {"tiny", "smol"} <= set(recipe_names())
    for name in recipe_names():
        assert load_recipe(name).name == name


def test_shipped_recipes_follow_the_four_rounds_of_the_paper() -> None:
    for name in recipe_names():
        rounds = load_recipe(name).rounds
        assert [r.annotation for r in rounds] == ["terminal", "terminal", "ppm", "ppm"]
        assert rounds[3].new_seeds
        assert rounds[3].unsolved_rollouts or name == "smol"  # which takes more small trees in their place


def test_the_papers_budgets_can_be_written_down(tmp_path: Path) -> None:
    text = """
name: paper
rounds:
  - {annotation: terminal, candidates: 5, rollouts: 8}
  - {annotation: terminal, candidates: 8, rollouts: 16, extra_rollouts: 16}
  - {annotation: ppm, candidates: 8, rollouts: 16, extra_rollouts: 16}
  - {annotation: ppm, candidates: 16, rollouts: 16, extra_rollouts: 16, unsolved_rollouts: [64, 128], new_seeds: 1}
evaluation: {candidates: 32, trajectories: 64}
"""
    recipe = load_recipe(str(written(tmp_path, text)))
    assert [r.candidates for r in recipe.rounds] == [5, 8, 8, 16]
    assert [r.rollouts for r in recipe.rounds] == [8, 16, 16, 16]
    assert recipe.rounds[3].unsolved_rollouts == [64, 128]
    assert (recipe.search.depth, recipe.search.c) == (16, 2.0)
    assert (recipe.evaluation.candidates, recipe.evaluation.trajectories) == (32, 64)


def test_changes_are_yaml_and_reach_into_lists() -> None:
    changes = ["search.c=1.5", "rounds.0.candidates=5", "problems.levels=[1, 2]", "sft.lr=1e-4", "problems.limit=null"]
    recipe = load_recipe("tiny", changes)
    assert recipe.search.c == 1.5
    assert recipe.rounds[0].candidates == 5
    assert recipe.problems.levels == [1, 2]
    assert recipe.sft.lr == 1e-4
    assert recipe.problems.limit is None


def test_a_change_makes_a_section_that_the_file_leaves_out(tmp_path: Path) -> None:
    path = written(tmp_path, "name: mine\nrounds: [{annotation: terminal}]\n")
    assert load_recipe(str(path), ["ppm.margin=0.5"]).ppm.margin == 0.5


def test_differences_name_the_key_and_both_values() -> None:
    tiny = load_recipe("tiny", ["search.c=2.0"])
    assert differences(tiny, tiny) == []
    assert differences(tiny, load_recipe("tiny", ["search.c=1.5"])) == ["search.c: 2.0 -> 1.5"]
    changed = Recipe.model_validate(tiny.model_dump() | {"rounds": [r.model_dump() for r in tiny.rounds[:3]]})
    [line] = differences(tiny, changed)
    assert line.startswith("rounds.3: ") and line.endswith(" -> none")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VALID + "serch: {c: 1}\n", "serch: unknown key; did you mean search?"),
        (
            "name: m\nrounds: [{annotation: ppm, rolouts: 2}]\n",
            "rounds.0.rolouts: unknown key; did you mean rounds.0.rollouts",
        ),
        (VALID + "candidates: 2\n", "candidates: unknown key; did you mean rounds.0.candidates?"),
        (VALID + "search: {zzz: 1}\n", "search.zzz: unknown key; valid here: depth, c,"),
        (
            "name: m\nrounds: [{annotation: ppm, rollouts: -4}]\n",
            "rounds.0.rollouts: -4 is wrong: it should be greater",
        ),
        (VALID + "search: {depth: deep}\n", "search.depth: deep is wrong: it should be a valid integer"),
        (VALID + "search: 5\n", "search: 5 is wrong: it should be a mapping"),
        ("name: m\n", "rounds: missing"),
        ("- a\n- b\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("name: m\nrounds: [{annotation: ppm}\nseed: 1\n", "line 3: not valid YAML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_file_and_key(tmp_path: Path, text: str, expected: str) -> None:
    path = written(tmp_path, text)
    message = refused(path)
    assert str(path) in message
    assert expected in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("search.cc=1", "search.cc: unknown key; did you mean search.c?"),
        ("rounds.0.rollouts=-1", "rounds.0.rollouts: -1 is wrong: it should be greater than 0"),
        ("rounds.9.rollouts=1", "'9' must be a number from 0 to 3"),
        ("rounds.first=1", "'first' must be a number from 0 to 3"),
        ("seed.x=1", "'seed' is a single value"),
        ("search.c=[", "not valid YAML"),
        ("search.c", "must be KEY=VALUE"),
        ("=3", "must be KEY=VALUE"),
    ],
)
def test_a_mistake_in_a_change_names_the_change(change: str, expected: str) -> None:
    message = refused("tiny", change)
    assert f"--set {change}" in message
    assert expected in message


def test_every_mistake_is_told_at_once() -> None:
    message = refused("tiny", "search.cc=1", "sft.batch=-1")
    assert "search.cc" in message and "sft.batch" in message


def test_a_missing_recipe_suggests_the_shipped_ones(tmp_path: Path) -> None:
    assert "did you mean tiny?" in refused("tinny")
    assert "qwen2.5-math-7b-qlora, smol, tiny)" in refused(tmp_path / "absent.yaml")
    assert str(tmp_path) in refused(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.yaml"
    path.write_bytes(b"\xff\xfe\x00GGUF")
    assert "not valid YAML" in refused(path)
