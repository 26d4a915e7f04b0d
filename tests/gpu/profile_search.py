"""Where the time of a search goes: `python tests/gpu/profile_search.py [BASE] [PROBLEMS]`, on a GPU or else a CPU.

Searches generated problems (BASE: tiny), and prints the seconds of each part, its share, and how often it ran. Parts
are timed from outside and in turn, a GPU waited for at the end of each; so the sum is the whole, and a little slower
than without. Operators launched in the model are counted in a second search of two problems.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AttentionInterface

from rstar_mini.models import device, load_base
from rstar_mini.policy import transformers_policy
from rstar_mini.policy.feed import Feed
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.policy.tree_attention import NAME, tree_attention
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.prompts import Prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search


class Clock:
    """Seconds and calls of each part; a part inside another one is taken off the outer."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inner = [0.0]

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, on the clock."""

        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            self._inner.append(0.0)
            try:
                return work(*args, **kwargs)
            finally:
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                taken = time.perf_counter() - start
                self.seconds[name] += taken - self._inner.pop()
                self.calls[name] += 1
                self._inner[-1] += taken

        return run


def searching(base: str, count: int, clock: Clock | None) -> tuple[int, int]:
    """Search; the sampled tokens, and the forward passes."""
    model, tokenizer = load_base(base)
    model.to(device())  # type: ignore[arg-type]  # transformers hides the signature of Module.to
    policy = TransformersPolicy(model, tokenizer, Prompt())
    with Sandbox() as box:
        expander = Expander(policy, box, seed="profile")
        if clock:
            decoder = policy.cache.backbone
            decoder.forward = clock.timed("model", decoder.forward)
            policy.cache.read = clock.timed("host: reading prompts", policy.cache.read)
            policy._forward = clock.timed("host: tries, pages, masks", policy._forward)
            policy._sample = clock.timed("host: parting siblings", policy._sample)
            policy.collect = clock.timed("host: admission", policy.collect)
            box.run_many = clock.timed("sandbox", box.run_many)
        asked = load_problems("generated", "validation", count, CORE, [1, 2])
        run = clock.timed("host: search", search) if clock else search
        trees = run(asked, expander, Budget(candidates=4, rollouts=4, temperature=0.7))
    return sum(tree.tokens for tree in trees), policy.cache.forwarded


def main() -> None:
    """Time the parts, then count operators."""
    base, count = (sys.argv[1:] + ["tiny", "60"][len(sys.argv) - 1 :])[:2]
    clock = Clock()
    sample, mask = transformers_policy.sample, Feed.mask
    transformers_policy.sample = clock.timed("sampling", sample)
    Feed.mask = clock.timed("attention: masks", mask)
    AttentionInterface.register(NAME, clock.timed("attention", tree_attention))
    tokens, forwarded = searching(base, int(count), clock)
    AttentionInterface.register(NAME, tree_attention)
    transformers_policy.sample, Feed.mask = sample, mask
    whole = sum(clock.seconds.values())
    for name, seconds in clock.seconds.most_common():
        row = {"part": name, "seconds": round(seconds, 3), "share": round(seconds / whole, 3)}
        print(json.dumps(row | {"calls": clock.calls[name]}))
    with profile(activities=[ProfilerActivity.CPU]) as counted:
        searching(base, 2, None)
    launched = Counter({each.key: each.count for each in counted.key_averages() if each.key.startswith("aten::")})
    print(json.dumps({"sampled": tokens, "forwarded": forwarded, "tokens/s": round(tokens / whole, 1)}))
    print(json.dumps({"operators, two problems": launched.total(), "most": dict(launched.most_common(8))}))


if __name__ == "__main__":
    main()
