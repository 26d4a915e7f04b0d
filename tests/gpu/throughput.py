"""Sampled tokens a second of a search, with and without captured steps, in pieces of at most nine minutes.

`python tests/gpu/throughput.py OUT.jsonl [CASE ...] [--problems 64] [--seconds 540]` adds one line a case to OUT, and
leaves out the cases that stand there already. So the same command goes on where it stopped. The cases:

- `phi3-4bit`, `phi3-16bit`: Phi-3-mini's shape with random weights and the lengths of a recorded run;
- `smol`: SmolLM2 with its own weights, on generated problems (after `rstar-mini fetch smol`);
- `small`: a Phi-3 of 128 hidden units, for a machine without a GPU.

What issue 29 aims at on an H200: `smol` 15,000, `phi3-4bit` 3,000, `phi3-16bit` 8,000.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from scripted import Runs, ScriptedEngine, phi3, problems, tokenizer
from transformers import BitsAndBytesConfig, PreTrainedModel

from rstar_mini.evolution.capacity import CACHE_SHARE, MOST_ROWS, free_bytes
from rstar_mini.models import device, load_base
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.problems import load_problems
from rstar_mini.problems.generate import CORE
from rstar_mini.prompts import DEMONSTRATIONS, Prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.search import Budget, Expander, search

BUDGET = Budget(candidates=8, rollouts=4, temperature=0.7)
SHAPE = (3072, 32, 32)  # Phi-3-mini's hidden size, layers and heads
DTYPE = torch.bfloat16 if torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0) else torch.float16


@contextmanager
def scripted(model: PreTrainedModel, count: int) -> Iterator[tuple[TransformersPolicy, Any, list[Any]]]:
    """The engine over a model whose text is the script's; nothing runs."""
    policy = ScriptedEngine(model, tokenizer(), Prompt(), MOST_ROWS, int(CACHE_SHARE * free_bytes()))
    yield policy, Runs(), problems(count)


@contextmanager
def written(model: PreTrainedModel, words: Any, count: int) -> Iterator[tuple[TransformersPolicy, Any, list[Any]]]:
    """The engine over a model that writes its own text, which is run."""
    policy = TransformersPolicy(
        model, words, Prompt(shots=DEMONSTRATIONS), 64, MOST_ROWS, int(CACHE_SHARE * free_bytes())
    )
    with Sandbox() as box:
        yield policy, box, load_problems("generated", "validation", count, CORE, [1, 2])


def in_four_bits(model: PreTrainedModel) -> PreTrainedModel:
    """The model as a run loads it: NF4, with its scales quantised once more."""
    kind = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": DTYPE}
    with tempfile.TemporaryDirectory() as folder:
        model.to(DTYPE).save_pretrained(folder)  # type: ignore[arg-type]  # transformers hides the signature
        asked = {"quantization_config": BitsAndBytesConfig(load_in_4bit=True, **kind), "device_map": {"": device()}}
        made: PreTrainedModel = type(model).from_pretrained(folder, dtype=DTYPE, **asked)
    return made.eval()


def case(name: str, count: int) -> Any:
    """The engine, what runs programs, and the problems of a case."""
    if name == "smol":
        model, words = load_base("smol", DTYPE)
        return written(model.to(device()), words, count)  # type: ignore[arg-type]
    if name == "small":
        return scripted(phi3(128, 4, 4, tokenizer()), count)
    model = phi3(*SHAPE, tokenizer())
    return scripted(in_four_bits(model) if name == "phi3-4bit" else model.to(device(), DTYPE), count)  # type: ignore[arg-type]


def measure(name: str, count: int, captured: bool) -> dict[str, Any]:
    """Search twice, since the first time captures; the second is timed."""
    with case(name, count) as (policy, box, asked):
        if not captured:
            policy.graphs = None
        run: Callable[[str], Any] = lambda seed: search(asked, Expander(policy, box, seed=seed), BUDGET)  # noqa: E731
        run("before")
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        sampled = sum(tree.tokens for tree in run("timed"))
        seconds = time.perf_counter() - start
    gpu = torch.cuda.is_available()
    return {
        "case": name, "captured": captured and policy.graphs is not None, "problems": count, "n": 1, "seed": 0,
        "sampled": sampled, "seconds": round(seconds, 1), "tokens/s": round(sampled / seconds, 1),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if gpu else None,
        "gpu": torch.cuda.get_device_name() if gpu else None,
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("cases", nargs="*", default=["smol", "phi3-16bit", "phi3-4bit"])
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=540)
    asked = parser.parse_args()
    end = time.monotonic() + asked.seconds
    there = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    done = {(row["case"], row["asked"]) for row in there}
    slowest = 0.0
    for name in asked.cases:
        for captured in (True, False):
            if (name, captured) in done:
                continue
            if time.monotonic() + slowest > end:
                print("the time is over; the same command goes on")
                return
            start = time.monotonic()
            row = measure(name, asked.problems, captured) | {"asked": captured}
            slowest = max(slowest, time.monotonic() - start)
            with asked.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    with patch.dict("os.environ", {"HF_HUB_OFFLINE": "1"}):
        main()
