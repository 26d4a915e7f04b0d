"""The plain way, to compare with: whole texts for every sibling, as the released code works, on the library's calls.

One text a sibling goes through the policy from its first token at every step (`generate` of transformers), and again
through the PPM; every program is run from its first step in a process, also when it was run before. Sampling noise is
keyed as everywhere in this project, so in fp32 this finds the same trees, only later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria

from rstar_mini.policy import Propose, Request
from rstar_mini.policy.end_of_step import EndOfStep
from rstar_mini.policy.sampling import draw
from rstar_mini.ppm.model import reward
from rstar_mini.prompts import Prompt
from rstar_mini.sandbox import Sandbox
from rstar_mini.tokens import cached_encoder
from rstar_mini.types import Execution, Problem, Step


class PlainReader:
    """Encodes whole texts, piece by piece as search does, and counts the tokens that a model reads."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> None:
        self.encode, self.prompt, self.pad = cached_encoder(tokenizer.encode), prompt, int(tokenizer.pad_token_id or 0)
        self.forwarded = 0

    def ids(self, problem: Problem, steps: Sequence[Step]) -> list[int]:
        """The prompt, and the steps with their outputs."""
        pieces = [self.prompt(problem.question), *chain.from_iterable((step.text, step.output) for step in steps)]
        return self.encode.joined(pieces)

    def batch(self, rows: Sequence[list[int]], left: bool) -> dict[str, Tensor]:
        """Padded `input_ids` and `attention_mask`, [rows, longest]."""
        longest = max(map(len, rows))
        gaps = [[self.pad] * (longest - len(row)) for row in rows]
        ids = [gap + row if left else row + gap for row, gap in zip(rows, gaps, strict=True)]
        self.forwarded += sum(map(len, rows))
        at = torch.arange(longest)[None]
        counts = torch.tensor([len(row) for row in rows])[:, None]
        return {"input_ids": torch.tensor(ids), "attention_mask": (at >= longest - counts if left else at < counts)}


class _KeyedNoise(LogitsProcessor):
    """Lets the library's greedy choice pick the token that a sibling's noise key draws."""

    def __init__(self, keys: np.ndarray, start: int, temperature: float) -> None:
        self.keys, self.start, self.temperature = keys, start, temperature

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        rows = np.arange(len(self.keys))
        position = np.full(len(rows), input_ids.shape[1] - self.start)
        tokens = torch.from_numpy(draw(scores, rows, self.keys, position, self.temperature)).to(scores.device)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _StepEnds(StoppingCriteria):
    """A row is done when its step has ended."""

    def __init__(self, ends: EndOfStep, start: int) -> None:
        self.ends, self.start = ends, start

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        done = [self.ends(row[self.start :]) is not None for row in input_ids.tolist()]
        return torch.tensor(done, device=input_ids.device)


class PlainPolicy(Propose):
    """A policy on `model.generate`: `rows` texts at a time, or those of one request where that is None."""

    elsewhere = False

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompt: Prompt,
        max_step_tokens: int,
        rows: int | None,
    ) -> None:
        self.model, self.max_step_tokens, self.rows = model, max_step_tokens, rows
        self.reader, self.ends = PlainReader(tokenizer, prompt), EndOfStep(tokenizer)
        self._waiting: list[tuple[Request, float]] = []

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Note the requests."""
        self._waiting += [(request, temperature) for request in requests]

    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Answer all of them."""
        waiting, self._waiting = self._waiting, []
        done: list[tuple[Request, list[Step]]] = []
        while waiting:
            fits = np.cumsum([request.n for request, _ in waiting]) <= (self.rows or 0)
            part = max(1, int(fits.sum()))
            done += self._generate([request for request, _ in waiting[:part]], waiting[0][1])
            waiting = waiting[part:]
        return done

    @torch.inference_mode()
    def _generate(self, requests: Sequence[Request], temperature: float) -> list[tuple[Request, list[Step]]]:
        texts = [self.reader.ids(request.problem, request.steps) for request in requests for _ in range(request.n)]
        keys = np.array([request.key + i for request in requests for i in range(request.n)], dtype=np.uint64)
        batch = self.reader.batch(texts, left=True)
        start = batch["input_ids"].shape[1]
        out: Any = self.model.generate(  # type: ignore[operator]  # transformers types it as a tensor
            **{name: part.to(self.model.device) for name, part in batch.items()},
            max_new_tokens=self.max_step_tokens,
            do_sample=False,
            logits_processor=[_KeyedNoise(keys, start, temperature)],
            stopping_criteria=[_StepEnds(self.ends, start)],
            pad_token_id=self.reader.pad,
            eos_token_id=None,
        )
        steps = iter([self._step(row[start:]) for row in out.tolist()])
        return [(request, [next(steps) for _ in range(request.n)]) for request in requests]

    def _step(self, tokens: list[int]) -> Step:
        """The step at the beginning of what was generated for a row; the rest is padding."""
        for count in range(1, len(tokens) + 1):
            if (text := self.ends(tokens[:count])) is not None:
                break
        self.reader.forwarded += count - 1
        return Step(self.ends.decode(tokens[:count]) if text is None else text, tokens=count)


class PlainScorer:
    """A PPM that reads the whole text of every candidate: `rows` at a time, or the siblings of one parent."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, rows: int | None
    ) -> None:
        self.model, self.rows, self.reader = model, rows, PlainReader(tokenizer, prompt)

    @torch.inference_mode()
    def score(self, siblings: Sequence[tuple[Problem, tuple[Step, ...], Sequence[Step]]]) -> list[list[float]]:
        """One score in [-1, 1] for each candidate; see `Scorer.score`."""
        families = [
            [self.reader.ids(problem, (*prefix, replace(step, output=""))) for step in steps]
            for problem, prefix, steps in siblings
        ]
        texts = list(chain.from_iterable(families))
        batches = [texts[i : i + self.rows] for i in range(0, len(texts), self.rows)] if self.rows else families
        values = iter([value for batch in batches for value in self._read(batch)])
        return [[next(values) for _ in family] for family in families]

    def _read(self, texts: Sequence[list[int]]) -> list[float]:
        batch = {name: part.to(self.model.device) for name, part in self.reader.batch(texts, left=False).items()}
        hidden = self.model.get_decoder()(**batch, use_cache=False).last_hidden_state
        last = torch.tensor([len(text) - 1 for text in texts], device=hidden.device)
        logits = self.model.get_submodule("score")(hidden[torch.arange(len(texts), device=hidden.device), last])
        return [round(value, 6) for value in reward(logits)[:, 0].tolist()]


class Replaying:
    """A sandbox that runs every program anew, one at a time, also when it knows what comes of it."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.runs = box, 0

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """Run the programs; a comment of its own at the end makes each a new one."""
        self.runs += len(codes)
        first = self.runs - len(codes)
        return [self.box.run(f"{code}\n# run {first + i}") for i, code in enumerate(codes)]
