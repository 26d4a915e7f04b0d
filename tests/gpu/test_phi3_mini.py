"""Phi-3-mini's real architecture with random weights in 4 bits, on a GPU: peak memory and speed. `pytest -m gpu -rP`.

Takes about three minutes and 8 GB of disk. What a model knows plays no part in what it costs, so no download is needed.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Phi3Config

from rstar_mini.adapters import SharedBase
from rstar_mini.finetune.sft import IGNORED, sft_trainer
from rstar_mini.models import load_base
from rstar_mini.plan.memory import Load, search_peak
from rstar_mini.plan.shape import shape_of
from rstar_mini.policy import Request
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.ppm.model import ppm_trainer
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.progress import Silent
from rstar_mini.prompts import Prompt
from rstar_mini.recipes.schema import Ppm, Sft
from rstar_mini.training import run_trainer
from rstar_mini.types import Problem, Step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("ignore"),  # of other libraries, which differ from GPU to GPU
]
LENGTH, STEPS = 2048, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Phi-3-mini, 3.8 billion random weights, and a small tokenizer."""
    folder = tmp_path_factory.mktemp("phi3")
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(Phi3Config(), dtype=torch.bfloat16)
    assert model.num_parameters() > 3.8e9
    model.save_pretrained(folder)
    load_base("tiny")[1].save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def phi(request, folder):
    """The base in 4 bits, shared by policy and PPM, and its tokenizer."""
    base, tokenizer = load_base(str(folder), request.param, four_bits=True)
    yield SharedBase(base, 16), tokenizer
    torch.cuda.empty_cache()


def measured(name: str, dtype: torch.dtype, work: Callable[[], int]) -> float:
    """Do the work, which gives its tokens; print and return the most gigabytes (10^9) that tensors took meanwhile."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    tokens = work()
    torch.cuda.synchronize()
    seconds, peak = time.perf_counter() - start, torch.cuda.max_memory_allocated() / 1e9
    row = {"what": name, "dtype": str(dtype).removeprefix("torch."), "before_gb": before, "peak_gb": peak}
    row |= {"tokens": tokens, "tokens_per_second": tokens / seconds, "gpu": torch.cuda.get_device_name()}
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}))
    return peak


def ids(count: int, seed: int) -> list[int]:
    return torch.randint(3, 300, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def settings(kind: type) -> Any:
    return kind(epochs=1, batch=1, micro_batch=1, lr=1e-4, warmup=0, recompute=True)


def test_sft_at_2048_tokens_takes_less_than_6_gb(phi, tmp_path):
    shared, tokenizer = phi
    texts = [ids(LENGTH, seed) for seed in range(STEPS)]
    rows = [{"input_ids": text, "labels": [IGNORED] * 100 + text[100:]} for text in texts]
    trainer = sft_trainer(shared.to_train_policy(0), tokenizer, rows, settings(Sft), 0, tmp_path)

    def work() -> int:
        run_trainer(trainer, Silent(), "policy", 1e9)
        return LENGTH * STEPS

    assert measured("SFT", shared.base.dtype, work) < 6.0


def test_ppm_training_at_2048_tokens_takes_less_than_6_5_gb(phi, tmp_path):
    shared, tokenizer = phi
    shared.to_train_policy(0).save_pretrained(tmp_path / "policy")
    rows = []
    for seed in range(STEPS):
        text = ids(LENGTH, seed)
        other = text[: LENGTH - 200] + ids(200, seed + STEPS)
        rows.append({"chosen_ids": text, "rejected_ids": other, "weight": 1.0, "length": LENGTH})
    model = shared.to_train_ppm(tmp_path / "policy", 0)
    trainer = ppm_trainer(model, tokenizer, rows, settings(Ppm), 0, tmp_path / "checkpoints")

    def work() -> int:
        run_trainer(trainer, Silent(), "PPM", 1e9)
        return (LENGTH + 200) * STEPS

    assert measured("PPM training", shared.base.dtype, work) < 6.5


def test_search_with_9000_live_tokens_takes_what_was_foretold(phi, tmp_path):
    """Policy and PPM, each with the same texts in its cache, have 9,000 tokens of keys and values in all."""
    shared, tokenizer = phi
    shared.to_train_policy(0).save_pretrained(tmp_path / "policy")
    shared.to_train_ppm(tmp_path / "policy", 0).save_pretrained(tmp_path / "ppm")
    views = shared.view("policy", tmp_path / "policy"), shared.view("ppm", tmp_path / "ppm")
    policy = TransformersPolicy(views[0], tokenizer, Prompt(), 32, batch_rows=4)
    ppm = PPMScorer(views[1], tokenizer, Prompt())
    problems = [Problem(str(i), tokenizer.decode(ids(540, i)), "1") for i in range(5)]
    base = shape_of(shared.base.config)
    token = 2 * base.kept

    def work() -> int:
        policy.propose([Request(problem, (), 4, i) for i, problem in enumerate(problems)], 1.0)
        ppm.score([(problem, (), [Step(f"x = {i}\n<end_of_step>") for i in range(4)]) for problem in problems])
        return policy.cache.forwarded + ppm.cache.forwarded

    peak = measured("search", shared.base.dtype, work)
    live = round((policy.cache.meter.peak + ppm.cache.meter.peak) / token)
    print(json.dumps({"live_tokens": live, "bytes_a_token": token}))
    assert live >= 9000
    load = Load(1, live, 4, policy._rows._memory.nbytes // token, ppm.cache.most)
    assert peak < 1.15 * search_peak(base, "qlora", 16, load) / 1e9


def test_a_base_serves_both_adapters_and_comes_back_from_disk_the_same(phi, tmp_path):
    shared, _ = phi
    model = shared.to_train_policy(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.01)
    model.save_pretrained(tmp_path / "policy")
    text = {"input_ids": torch.tensor([ids(64, 0)], device="cuda")}
    with torch.inference_mode():
        plain, adapted = shared.view()(**text), shared.view("policy", tmp_path / "policy")(**text)
        again = shared.view("policy", tmp_path / "policy")(**text)
    assert torch.equal(adapted.last_hidden_state, again.last_hidden_state)
    assert not torch.equal(plain.last_hidden_state, adapted.last_hidden_state)
