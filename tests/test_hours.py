"""Hours and gigabytes have one source, the plan: recipes, README and notebooks say what it says."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from rstar_mini.plan import plan
from rstar_mini.plan.machine import CONTEXT_GB
from rstar_mini.plan.shape import shape
from rstar_mini.recipes import load_recipe, recipe_names
from rstar_mini.recipes.load import SHIPPED
from rstar_mini.show.tables import card_cell, rough

ROOT = Path(__file__).parent.parent
PLANNED = re.compile(r"^# plan (\S+): (.+)$", re.MULTILINE)
FIGURE = re.compile(r"\d\s?(?:GB|hours?|h)\b")


def planned(name: str, card: str) -> str:
    """The line of a recipe's header for a card."""
    made = plan(load_recipe(name), card)
    return f"{rough(made.gpu_hours)} h; " + ", ".join(f"{need.what} {need.peak_gb:.1f} GB" for need in made.needs)


def header(name: str) -> str:
    return (SHIPPED / f"{name}.yaml").read_text().partition("\nname:")[0]


@pytest.mark.parametrize("name", recipe_names())
def test_the_header_of_a_recipe_says_what_the_plan_says(name):
    for card, figures in PLANNED.findall(header(name)):
        assert figures == planned(name, card), f"{name} on {card}"
    assert name in ("tiny", "paper", "qwen2.5-math-7b-8gpu") or PLANNED.search(header(name))


@pytest.mark.parametrize("name", recipe_names())
def test_no_other_hours_or_gigabytes_stand_in_a_recipe(name):
    recipe = load_recipe(name)
    rest = PLANNED.sub("", header(name)) + recipe.description
    sizes = re.sub(r"GPUs? of (?:\d+ to )?\d+ GB", "", rest)  # a card's name, which the next test tries
    assert not FIGURE.search(sizes), sizes


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_fits_the_card_that_its_description_names(name):
    for size in re.findall(r"GPU of (\d+) GB", load_recipe(name).description):
        assert plan(load_recipe(name), f"{size}gb").fits


@pytest.mark.parametrize(("page", "fewest"), [("README.md", 3), ("rstar_mini/recipes/README.md", 10)])
def test_a_page_has_the_plan_of_each_card(page, fewest):
    table = r"^\| card \| (.+) \|\n\|[-|]+\n((?:\|.*\n)+)"
    [(header, body)] = re.findall(table, (ROOT / page).read_text(), re.MULTILINE)
    recipes = [load_recipe(name.strip("`")) for name in header.split(" | ")]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in body.splitlines()]
    assert len(rows) >= fewest and len(recipes) >= 2
    for card, *cells in rows:
        assert cells == [card_cell(plan(recipe, card.strip("`"))) for recipe in recipes], card


@pytest.mark.parametrize(("recipe", "card", "gpus"), [("qwen2.5-math-7b-8gpu", "h100", 8), ("paper", "a100-40", 64)])
def test_the_page_on_clusters_has_the_plan_of_many_gpus(recipe, card, gpus):
    [hours] = re.findall(rf"`{recipe}` \| `.+` \| (\d+) \|", (ROOT / "rstar_mini/cluster/README.md").read_text())
    assert hours == rough(plan(load_recipe(recipe), card, gpus).gpu_hours / gpus)


def notebook_hours(card: str) -> tuple[float, float, float]:
    """Of notebook 11: its base and round 1, its part 8, and rounds 2 to 4 in the night after it."""
    made = plan(load_recipe("phi3-mini-qlora"), card)
    again = "rounds=[{annotation: terminal, candidates: 4, rollouts: 4}]"  # of 200 held-out problems, by two policies
    one = plan(load_recipe("phi3-mini-qlora", ["problems.limit=200", again, "evaluation.greedy_only=[]"]), card)
    night = sum(cost.gpu_hours for cost in made.costs[1:])
    return made.base.gpu_hours + made.costs[0].gpu_hours, 2 * one.costs[0].search, night


LESSON = nbformat.read(ROOT / "notebooks" / "11_phi3_mini_on_your_gpu.ipynb", as_version=4).cells
CARDS = {"t4": "a T4", "12gb": "a card of 12 GB"}  # of which notebook 11 has hours in its text


def by_card(figures: Iterable[float]) -> str:
    return " and ".join(f"{rough(hours)} h on {name}" for hours, name in zip(figures, CARDS.values(), strict=True))


def hours_claimed() -> list[str]:
    """What notebook 11 says of hours, by the plan."""
    first, again, night = zip(*map(notebook_hours, CARDS), strict=True)
    t4, small = (f"{(22 + round(each)) % 24}:00" for each in night)
    rounds = [plan(load_recipe("phi3-mini-qlora"), card).costs[1:] for card in CARDS]
    return [
        f"| live | {round(60 * (first[0] + again[0]), -1):.0f} min |",
        f"takes {by_card(map(sum, zip(first, again, strict=True)))}, with 300 problems",
        f"adds about {by_card(again)}, for any `PROBLEMS`",
        f"With 300 problems, the night takes about {by_card(night)}.",
        f"Started at 22:00, it ends at about {t4} on a T4 and {small} on a card of 12 GB.",
        f"you lose at most {by_card(max(cost.search for cost in costs) for costs in rounds)}.",
    ]


def needs_claimed() -> list[str]:
    """What it says of gigabytes, and of other settings."""
    recipe = load_recipe("phi3-mini-qlora")
    less, lora = ["policy.cache_mb=1000"], ["policy.tuning=lora"]
    made, small, half = (plan(load_recipe("phi3-mini-qlora", changes), "12gb") for changes in ([], less, lora))
    adapter = 4 * shape(recipe.policy.base).adapters(recipe.policy.lora_rank) / 1e9  # in fp32
    assert made.peak_gb < made.usable_gb < 1.15 * made.peak_gb
    return [
        f"{made.download_gb:.0f} GB | {made.download_gb:.1f} GB, once: Phi-3-mini, MATH and MATH-500 | the plan",
        f"downloads Phi-3-mini, {made.download_gb:.1f} GB,",
        f"CUDA takes {CONTEXT_GB} GB of a card of 12 GB, so {made.usable_gb:.1f} GB remain for a run.",
        f"On a card of 12 GB the run needs {made.peak_gb:.1f} GB.",
        f"With 15 % more it needs {1.15 * made.peak_gb:.1f} GB, too much",
        f"take {rough(half.gpu_hours)} h on a card of 12 GB in place of {rough(made.gpu_hours)} h.",
        f"a card of 12 GB takes {rough(small.gpu_hours)} h for all rounds, and the run needs {small.peak_gb:.1f} GB.",
        f"the adapters of four policies and four PPMs, {adapter:.1f} GB each",
        f"about {2 * 4 * made.numbers / 1e9:.0f} GB of RAM",  # policy and PPM merged, each in fp32
    ]


def test_notebook_11_says_what_the_plan_says_and_no_other_hours_or_gigabytes():
    text = "\n".join(" ".join(cell.source.split()) for cell in LESSON if cell.cell_type == "markdown")
    for claim in hours_claimed() + needs_claimed():
        assert claim in text, claim
        text = text.replace(claim, "")
    rest = re.sub(r"card of 12 GB|fit into 12 hours|\| rehearsal .+? none \|", "", text)  # the last: measured
    assert FIGURE.findall(rest) == []
    assert load_recipe("phi3-mini-qlora").problems.limit == load_recipe("phi3-mini-qlora").search.shard == 300


def test_hours_of_notebook_11_follow_the_limit_that_a_reader_sets(capsys):
    """In the plan's tables, in the run and in the night after it."""
    sources = {cell.id: cell.source for cell in LESSON}
    names: dict[str, Any] = {"REHEARSAL": True, "RUN": Path("runs/mine")}
    exec(sources["plan"].replace("PROBLEMS = 300", "PROBLEMS = 150"), names)
    for name in ("plan-hours", "cards", "cards-rounds", "night"):
        exec(sources[name], names)
    made = plan(load_recipe("phi3-mini-qlora", ["problems.limit=150"]), "t4")
    night, printed = rough(sum(cost.gpu_hours for cost in made.costs[1:])), capsys.readouterr().out
    assert f"rounds 2 to 4: {night} h\n" in printed and f"with 150 problems on t4: {night} h by the plan\n" in printed
    row = [[*column.cells][names["cards"].index("t4")] for column in names["by_round"].columns]
    assert row == ["t4", *(rough(cost.gpu_hours) for cost in (made.base, *made.costs, made))]
    exec(sources["recipe"], names | {"REHEARSAL": False})
    assert capsys.readouterr().out == "problems.limit: 300 -> 150\n"
