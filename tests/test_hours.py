"""Hours and gigabytes have one source, the plan: recipes, README and notebooks say what it says."""

import re
from pathlib import Path

import nbformat
import pytest

from rstar_mini.plan import plan
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


def test_notebook_11_predicts_the_time_of_its_live_tier_from_the_plan():
    """The base and round 1 on a T4, and the two searches of the held-out problems, about half an hour each."""
    made = plan(load_recipe("phi3-mini-qlora"), "t4")
    card = nbformat.read(ROOT / "notebooks" / "11_phi3_mini_on_your_gpu.ipynb", as_version=4).cells[0].source
    said = int(re.search(r"\| live \| (\d+) min", card)[1])
    assert said == pytest.approx(60 * (made.base.gpu_hours + made.costs[0].gpu_hours), rel=0.35)
