"""Peak memory and speed of training and search on this GPU, for models of several shapes with random weights.

`python tests/gpu/measure_memory.py OUT.jsonl [SECONDS]` writes one line a case, which tells what a recipe will
need. Takes about four minutes, and stops in between when SECONDS are over.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, Phi3Config, PreTrainedModel, Qwen2Config

from rstar_mini.adapters import SharedBase
from rstar_mini.finetune.sft import IGNORED, sft_trainer
from rstar_mini.models import load_base
from rstar_mini.policy import Request
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.model import ppm_from_policy, ppm_trainer
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm, Sft
from rstar_mini.training import run_trainer
from rstar_mini.types import Problem

NAMES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
NAMES += ("vocab_size", "tie_word_embeddings")
SHAPES: dict[str, Any] = {
    "smol": (LlamaConfig, 576, 1536, 30, 9, 3, 49152, True),
    "qwen2.5-0.5b": (Qwen2Config, 896, 4864, 24, 14, 2, 151936, True),
    "qwen2.5-math-1.5b": (Qwen2Config, 1536, 8960, 28, 12, 2, 151936, True),
    "phi3-mini": (Phi3Config, 3072, 8192, 32, 32, 32, 32064, False),
    "qwen2.5-math-7b": (Qwen2Config, 3584, 18944, 28, 28, 4, 152064, False),
}
STEPS = 3


def cases() -> Iterator[dict[str, Any]]:
    """Models, what is trained, and the size of a step; small ones first."""
    for model, tunings in {
        "smol": ("full", "lora", "qlora"),
        "qwen2.5-0.5b": ("full", "lora", "qlora"),
        "qwen2.5-math-1.5b": ("full", "lora", "qlora"),
        "phi3-mini": ("lora", "qlora"),
        "qwen2.5-math-7b": ("lora", "qlora"),
    }.items():
        for tuning in tunings:
            for length, micro, recompute in ((512, 2, False), (512, 8, True), (2048, 1, True), (2048, 1, False)):
                for kind in ("sft", "ppm"):
                    yield {
                        "model": model, "tuning": tuning, "kind": kind,
                        "length": length, "micro_batch": micro, "recompute": recompute,
                    }  # fmt: skip
            if tuning != "full":
                for problems, prompt in ((8, 256), (32, 512)):
                    yield {"model": model, "tuning": tuning, "kind": "search", "problems": problems, "prompt": prompt}


def build(model: str, tuning: str) -> PreTrainedModel:
    """Random weights of this shape on the GPU, in the precision in which they are trained."""
    kind, *sizes = SHAPES[model]
    config = kind(**dict(zip(NAMES, sizes, strict=True)), pad_token_id=0)
    with torch.device("cuda"):
        made = AutoModelForCausalLM.from_config(config, dtype=torch.float32 if tuning == "full" else torch.bfloat16)
    if tuning == "qlora":
        for name, layer in list(made.get_decoder().named_modules()):
            if isinstance(layer, nn.Linear):
                four = bnb.nn.Linear4bit(
                    layer.in_features, layer.out_features, layer.bias is not None, torch.bfloat16,
                    compress_statistics=True, quant_type="nf4",
                )  # fmt: skip
                four.weight = bnb.nn.Params4bit(layer.weight.data.cpu(), False, quant_type="nf4")
                four.bias = layer.bias
                made.get_decoder().set_submodule(name, four.to("cuda"))
        made.is_loaded_in_4bit = True
    return made.eval()


def ids(count: int, seed: int) -> list[int]:
    return torch.randint(3, 300, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def training(case: dict[str, Any], shared: SharedBase | PreTrainedModel, tokenizer: Any, folder: Path) -> Callable:
    """A training of a few steps, ready to start."""
    kind = Sft if case["kind"] == "sft" else Ppm
    settings: Any = kind(
        epochs=1, batch=case["micro_batch"], micro_batch=case["micro_batch"], warmup=0, recompute=case["recompute"]
    )
    texts = [ids(case["length"], seed) for seed in range(STEPS * case["micro_batch"])]
    if case["kind"] == "sft":
        model = shared.to_train_policy(0) if isinstance(shared, SharedBase) else shared
        rows = [{"input_ids": text, "labels": [IGNORED] * 100 + text[100:]} for text in texts]
        trainer = sft_trainer(model, tokenizer, rows, settings, 0, folder / "c")
    else:
        if isinstance(shared, SharedBase):
            shared.to_train_policy(0).save_pretrained(folder / "policy")
            model = shared.to_train_ppm(folder / "policy", 0)
        else:
            model = ppm_from_policy(shared).to("cuda")
        short = case["length"] - 100  # so that a row of the pair, its beginning shared, has `length` tokens in all
        pairs = [
            {"chosen_ids": text[:short], "rejected_ids": text[: short - 100] + ids(100, 10**6 + i),
             "weight": 1.0, "length": short}
            for i, text in enumerate(texts)
        ]  # fmt: skip
        trainer = ppm_trainer(model, tokenizer, pairs, settings, 0, folder / "c")
    return lambda: run_trainer(trainer, Silent(), "training", 1e9)


def searching(case: dict[str, Any], shared: SharedBase, tokenizer: Any) -> Callable:
    """Decoding for some problems with eight candidates each, ready to start."""
    policy = TransformersPolicy(shared.view(), tokenizer, Prompt(), 32, 1024)
    problems = [Problem(str(i), tokenizer.decode(ids(case["prompt"], i)), "1") for i in range(case["problems"])]

    def work() -> None:
        policy.propose([Request(problem, (), 8, i) for i, problem in enumerate(problems)], 1.0)
        case.update(
            live_bytes=policy.cache.meter.peak, forwarded=policy.cache.forwarded, rows_bytes=policy._rows._memory.nbytes
        )

    return work


def measure(case: dict[str, Any], work: Callable[[], object]) -> None:
    """Do the work; note the bytes before and at most, and the seconds."""
    gc.collect()
    torch.cuda.empty_cache()
    case["before"] = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    case |= {"seconds": round(time.perf_counter() - start, 3), "peak": torch.cuda.max_memory_allocated()}


def main() -> None:
    """Every case in turn; one that fails is a line that says why."""
    out, until = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 1e9)
    tokenizer, built, name = load_base("tiny")[1], None, None
    with out.open("w") as file:
        for case in cases():
            if time.monotonic() > until:
                break
            try:
                if name != (case["model"], case["tuning"]):
                    built = None
                    gc.collect()
                    torch.cuda.empty_cache()
                    built = build(case["model"], case["tuning"])
                    built = built if case["tuning"] == "full" else SharedBase(built, 16)
                    name = case["model"], case["tuning"]
                if isinstance(built, PreTrainedModel):
                    built.zero_grad(set_to_none=True)
                with tempfile.TemporaryDirectory() as folder:
                    search = case["kind"] == "search"
                    work = (
                        searching(case, built, tokenizer) if search else training(case, built, tokenizer, Path(folder))
                    )
                    measure(case, work)
            except Exception as error:
                case["error"] = f"{type(error).__name__}: {error}"[:300]
            file.write(json.dumps(case | {"gpu": torch.cuda.get_device_name()}) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
