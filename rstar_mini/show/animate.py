"""A search tree as a picture that moves, one frame a rollout: `python -m rstar_mini.show.animate --out FILE.gif`.

The command searches one shipped problem with the shipped policy and PPM. From Python, `write_gif(tree, path)` takes
any tree: of a run, of `rstar_mini.solve`, or of your own search.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from rstar_mini.errors import UserError
from rstar_mini.files import write_bytes
from rstar_mini.paths import data_file
from rstar_mini.search import Budget
from rstar_mini.search.replay import replay, walk
from rstar_mini.show.picture import Picture
from rstar_mini.show.tree_plot import draw_tree
from rstar_mini.types import Tree

FRAME, LAST_FRAME = 1000, 5000  # milliseconds
WIDTH = 8.8  # inches, 968 pixels: on a page of that width the labels can be read
PROBLEM, BUDGET = "test-00001", Budget(candidates=5, rollouts=12)


def growth(tree: Tree, budget: Budget | None = None) -> list[Picture]:
    """The tree before its first rollout and after each one; the orange line is the path that a rollout took.

    `budget` is the one that the tree was searched with; its c, depth and rule for unvisited children count.

    Raises:
        UserError: the tree was not searched with that budget.
    """
    states = replay(tree, budget or Budget())
    walks = [walk(before, after) for before, after in zip(states, states[1:], strict=False)]
    return [draw_tree(state, states[-1], walked=walked) for state, walked in zip(states, [[], *walks], strict=True)]


def write_gif(tree: Tree, path: str | Path, budget: Budget | None = None) -> Path:
    """Write the growth of a tree as an endless GIF; returns its path.

    Raises:
        UserError: the tree was not searched with that budget.
    """
    frames = [_frame(picture) for picture in growth(tree, budget)]
    shown = [FRAME] * (len(frames) - 1) + [LAST_FRAME]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=shown, loop=0)
    write_bytes(Path(path), data.getvalue())
    return Path(path)


def _frame(picture: Picture) -> Image.Image:
    picture.set_figwidth(WIDTH)
    return Image.open(io.BytesIO(picture.png())).convert("RGB").quantize(dither=Image.Dither.NONE)


def search_shipped(name: str, budget: Budget) -> Tree:
    """Search one shipped held-out problem as rounds 3 and 4 do: priors from the PPM, ends judged by the answer."""
    from rstar_mini.evolution.models import shipped_models  # loads torch
    from rstar_mini.problems import load_problems
    from rstar_mini.recipes import load_recipe
    from rstar_mini.sandbox import Sandbox
    from rstar_mini.search import Expander, search

    problems = [problem for problem in load_problems("generated", "test") if problem.id == name]
    if not problems:
        raise UserError(f"there is no held-out problem '{name}'; name one of {data_file('test.jsonl')}")
    models = shipped_models(load_recipe("tiny"))
    with Sandbox() as box:
        [tree] = search(problems, Expander(models.policy(4), box, models.scorer(4)), budget)
    return tree


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Search a problem with the shipped models and draw its tree.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.gif")
    parser.add_argument("--problem", default=PROBLEM, metavar="ID", help="the id of a held-out problem")
    arguments = parser.parse_args(argv)
    tree = search_shipped(arguments.problem, BUDGET)
    print(write_gif(tree, arguments.out, BUDGET), f"{tree.rollouts} rollouts", sep=": ")


if __name__ == "__main__":
    main()
