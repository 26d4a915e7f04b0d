"""How many candidates of Phi-3-mini are in flight on a card, by the real engine with a model of few numbers a token.

`python tests/gpu/simulate.py [CARD ...] [--shard 256] [--rollouts 2] [--longer 200]` prints a line a card (t4, 4090,
a100-40, h200). Policy, PPM, caches, pages and admission are the real ones; the model keeps 16 numbers a token where
Phi-3-mini keeps 196,608, and its budget is as many tokens as the card's memory holds of Phi-3-mini's in 4 bits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from scripted import Runs, ScriptedEngine, phi3, problems, tokenizer

from rstar_mini.evolution.capacity import CACHE_SHARE, MOST_ROWS
from rstar_mini.plan.machine import machine
from rstar_mini.plan.shape import shape
from rstar_mini.ppm.model import ppm_from_policy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.prompts import Prompt
from rstar_mini.search import Budget, Expander, search

PHI = shape("microsoft/Phi-3-mini-4k-instruct")


def free_tokens(card: str) -> int:
    """Tokens of Phi-3-mini whose keys and values the card holds beside the weights in 4 bits."""
    return int((1e9 * machine(card).usable_gb - PHI.weights("qlora", 2)) / (2 * PHI.kept))


def simulate(tokens: int, shard: int, rollouts: int, longer: int, judged: bool = True) -> dict[str, float]:
    """Search a shard with memory for so many tokens in all; what was in flight, and what was read again."""
    words = tokenizer()
    model = phi3(8, 1, 1, words)
    policy = ScriptedEngine(model, words, Prompt(), MOST_ROWS, 0)
    cache = int(CACHE_SHARE * tokens) * policy.cache.token_bytes
    policy = ScriptedEngine(model, words, Prompt(), MOST_ROWS, cache)
    ppm = PPMScorer(ppm_from_policy(model).eval(), words, Prompt(), cache) if judged else None
    start = time.perf_counter()
    trees = search(
        problems(shard, longer), Expander(policy, Runs(), ppm, "simulated"), Budget(candidates=8, rollouts=rollouts)
    )
    full = [(written, at_work) for written, at_work, waiting in policy.steps if waiting] or [(0, 0)]
    written, at_work = zip(*full, strict=True)
    sampled, cache_ = sum(tree.tokens for tree in trees), policy.cache
    again = cache_.forwarded - cache_.unique
    return {
        "tokens": tokens, "at work": statistics.median(at_work), "written": statistics.median(written),
        "steps": len(policy.steps), "sampled": sampled, "preempted": round(cache_.preempted / cache_.unique, 4),
        "forwarded/unique": round(cache_.forwarded / cache_.unique, 4), "again": again,
        "ppm forwarded/unique": round(ppm.cache.forwarded / ppm.cache.unique, 4) if ppm else 0,
        "expected": round(policy.admission.expected, 1), "cached": cache_.meter.peak // cache_.token_bytes,
        "pages": policy.pages, "seconds": round(time.perf_counter() - start, 1),
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cards", nargs="*", default=["t4", "4090", "a100-40", "h200"])
    parser.add_argument("--shard", type=int, default=256)
    parser.add_argument("--rollouts", type=int, default=2)
    parser.add_argument("--longer", type=int, default=200)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for card in asked.cards:
        found = simulate(free_tokens(card), asked.shard, asked.rollouts, asked.longer)
        print(json.dumps({"card": card, **found}), flush=True)


if __name__ == "__main__":
    main()
