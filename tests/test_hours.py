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


def notebook_hours(card: str) -> tuple[float, float, float]:
    """Of notebook 11: its base and round 1, its part 8, and rounds 2 to 4 in the night after it."""
    made = plan(load_recipe("phi3-mini-qlora"), card)
    again = "rounds=[{annotation: terminal, candidates: 4, rollouts: 4}]"  # of 200 held-out problems, by two policies
    one = plan(load_recipe("phi3-mini-qlora", ["problems.limit=200", again, "evaluation.greedy_only=[]"]), card)
    night = sum(cost.gpu_hours for cost in made.costs[1:])
    return made.base.gpu_hours + made.costs[0].gpu_hours, 2 * one.costs[0].search, night


@pytest.fixture(scope="module")
def lesson() -> str:
    """The text of notebook 11, each paragraph on one line."""
    cells = nbformat.read(ROOT / "notebooks" / "11_phi3_mini_on_your_gpu.ipynb", as_version=4).cells
    return "\n".join(" ".join(cell.source.split()) for cell in cells if cell.cell_type == "markdown")


def test_notebook_11_has_the_hours_of_the_plan(lesson):
    (first, again, night), (longer, again_longer, night_longer) = map(notebook_hours, ("t4", "12gb"))
    assert f"takes {rough(first + again)} h on a T4 and {rough(longer + again_longer)} h on 12 GB" in lesson
    assert f"adds about {rough(again)} h on a T4 and {rough(again_longer)} h on 12 GB" in lesson
    assert f"takes about {rough(night)} h on a T4 and {rough(night_longer)} h on 12 GB" in lesson
    assert int(re.search(r"\| live \| (\d+) min", lesson)[1]) == pytest.approx(60 * (first + again), rel=0.05)


def test_notebook_11_has_the_gigabytes_of_the_plan(lesson):
    made = plan(load_recipe("phi3-mini-qlora"), "12gb")
    assert f"On 12 GB, {made.peak_gb:.1f} GB and 15 % more are {1.15 * made.peak_gb:.1f} GB, too much" in lesson
    assert 1.15 * made.peak_gb > made.usable_gb
    assert f"about {2 * 4 * made.numbers / 1e9:.0f} GB of RAM" in lesson  # policy and PPM, each in fp32
