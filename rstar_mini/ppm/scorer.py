"""Scoring steps with a trained PPM: all siblings in one pass on their parent's key-value cache."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.policy.memory import smaller
from rstar_mini.policy.prefix_cache import Place, PrefixCache, by_length, cached_encoder, extension
from rstar_mini.ppm.model import reward
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem, Step


class PPMScorer:
    """A sequence-classification model with one label as a `Scorer`."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> None:
        self.prompt = prompt
        self.head = model.get_submodule("score")
        self.cache = PrefixCache(model.get_decoder(), cached_encoder(tokenizer.encode))

    def forget(self) -> None:
        """Free the key-value cache."""
        self.cache.forget()

    @torch.inference_mode()
    def score(self, siblings: Sequence[tuple[Problem, tuple[Step, ...], Sequence[Step]]]) -> list[list[float]]:
        """One score in [-1, 1] for each candidate; see `Scorer.score`. When memory runs out, in smaller batches."""
        while True:
            before = self.cache.forwarded
            try:
                return self._score(siblings)
            except (MemoryError, RuntimeError) as error:
                self.forget()
                self.cache.most = smaller(error, self.cache.most)
                self.cache.shrunk += 1
                self.cache.forwarded = before

    def _score(self, siblings: Sequence[tuple[Problem, tuple[Step, ...], Sequence[Step]]]) -> list[list[float]]:
        places = self.cache.open([self.prompt(p.question) for p, _, _ in siblings], [steps for _, steps, _ in siblings])
        prefixes = [self.prompt(p.question) + "".join(s.full_text for s in steps) for p, steps, _ in siblings]
        rows = [(i, step) for i, (_, _, steps) in enumerate(siblings) for step in steps]
        tokens = [(*places[i].pending, *self.cache.encode(step.text)) for i, step in rows]
        scores = [0.0] * len(rows)
        for batch in by_length([len(row) for row in tokens], self.cache.most):
            parents = sorted({rows[k][0] for k in batch})
            owners = [bisect_left(parents, rows[k][0]) for k in batch]
            extended, hidden = self.cache.extend(
                [places[i].segment for i in parents], [tokens[k] for k in batch], owners
            )
            last = torch.tensor([len(tokens[k]) - 1 for k in batch], device=hidden.device)
            rewards = reward(self.head(hidden[torch.arange(len(batch), device=hidden.device), last]))[:, 0].tolist()
            for row, (k, value) in enumerate(zip(batch, rewards, strict=True)):
                (i, step), scores[k] = rows[k], round(value, 6)
                segment = extension(extended, row, len(tokens[k]) - 1, places[i].segment)
                self.cache.places[prefixes[i] + step.text] = Place(segment, tokens[k][-1:])
        flat = iter(scores)
        return [[next(flat) for _ in steps] for _, _, steps in siblings]
