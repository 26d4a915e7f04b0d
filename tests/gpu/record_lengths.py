"""Record the lengths of a real search: `python tests/gpu/record_lengths.py PROBLEMS.jsonl OUT.json [SECONDS]`.

SmolLM2 searches a few problems with the budget of the Phi-3 recipes (8 candidates, 8 rollouts). No text is kept. For
each node there is its depth and, of its candidates in sorted order, [tokens, how many of them the candidate before has
too, how it ended, whether search kept it]. `scripted.py` makes searches of these. Stops after SECONDS (600).
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

from rstar_mini.code_cot import END_ANSWER, END_CODE, STOPS
from rstar_mini.models import load_base
from rstar_mini.policy.prefix_cache import common
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import load_problems
from rstar_mini.prompts import DEMONSTRATIONS, TEMPLATES, Prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander
from rstar_mini.search.mcts import grow
from rstar_mini.types import Tree

BUDGET = Budget(candidates=8, rollouts=8, depth=16, temperature=0.7)


def kind(text: str) -> str:
    """How a candidate ended."""
    if not text.endswith(STOPS):
        return "cut"
    return "answer" if text.endswith(END_ANSWER) else "code" if text.endswith(END_CODE) else "step"


def main() -> None:
    """Search, then write the lengths."""
    problems = load_problems(sys.argv[1], "train", 6)
    model, tokenizer = load_base("smol")
    until = time.monotonic() + float(sys.argv[3] if len(sys.argv) > 3 else 600)
    policy = TransformersPolicy(model, tokenizer, Prompt(TEMPLATES["paper"], DEMONSTRATIONS[:2]), 128)
    nodes: dict[tuple[str, str], tuple[int, list[str]]] = {}
    collect = policy.collect

    def noting():
        if time.monotonic() > until:
            raise KeyboardInterrupt
        done = collect()
        for request, steps in done:
            path = "".join(step.full_text for step in request.steps)
            nodes[request.problem.id, path] = len(request.steps), [step.text for step in steps]
        return done

    policy.collect = noting
    trees = [Tree(problem) for problem in problems]
    with Sandbox() as box, contextlib.suppress(KeyboardInterrupt):
        grow(trees, Expander(policy, box, seed="record"), BUDGET)
    kept = {
        (tree.problem.id, "".join(step.full_text for step in node.steps())): {c.step.text for c in node.children}
        for tree in trees
        for node in tree.nodes()
        if node.expanded
    }
    encode = policy.cache.encode
    rows = []
    for key, (depth, texts) in nodes.items():
        if key not in kept:
            continue
        before, candidates = (), []
        for tokens, text in sorted((encode(text, goes_on=True), text) for text in texts):
            candidates.append([len(tokens), len(common(tokens, before)), kind(text), text in kept[key]])
            before = tokens
        rows.append({"depth": depth, "candidates": candidates})
    opening = len(common(encode(policy.prompt("0")), encode(policy.prompt("Why?"))))
    questions = [len(encode(policy.prompt(problem.question))) - opening for problem in problems]
    Path(sys.argv[2]).write_text(json.dumps({"opening": opening, "questions": questions, "nodes": rows}))


if __name__ == "__main__":
    main()
