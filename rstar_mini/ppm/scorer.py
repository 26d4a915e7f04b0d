"""Scoring steps with a trained PPM: all siblings in one pass on their parent's key-value cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.policy.prefix_cache import Place, PrefixCache, cached_encoder
from rstar_mini.ppm.model import reward
from rstar_mini.prompts import Prompt
from rstar_mini.types import Problem, Step


class PPMScorer:
    """A sequence-classification model with one label as a `Scorer`."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, batch_rows: int = 1024
    ) -> None:
        self.prompt, self.batch_rows = prompt, batch_rows
        self.head = model.get_submodule("score")
        self.cache = PrefixCache(model.get_decoder(), cached_encoder(tokenizer.encode))

    def forget(self) -> None:
        """Free the key-value cache."""
        self.cache.forget()

    @torch.inference_mode()
    def score(self, siblings: Sequence[tuple[Problem, tuple[Step, ...], Sequence[Step]]]) -> list[list[float]]:
        """One score in [-1, 1] for each candidate; see `Scorer.score`."""
        places = self.cache.open([self.prompt(p.question) for p, _, _ in siblings], [steps for _, steps, _ in siblings])
        prefixes = [self.prompt(p.question) + "".join(s.full_text for s in steps) for p, steps, _ in siblings]
        rows = [(i, step) for i, (_, _, steps) in enumerate(siblings) for step in steps]
        scores: list[float] = []
        for first in range(0, len(rows), self.batch_rows):
            scores += self._score_rows(rows[first : first + self.batch_rows], places, prefixes)
        flat = iter(scores)
        return [[next(flat) for _ in steps] for _, _, steps in siblings]

    def _score_rows(
        self, chunk: Sequence[tuple[int, Step]], places: Sequence[Place], prefixes: Sequence[str]
    ) -> list[float]:
        tokens = [(*places[i].pending, *self.cache.encode(step.text)) for i, step in chunk]
        rows, hidden, start = self.cache.extend([places[i].segment for i, _ in chunk], tokens)
        last = torch.tensor([len(row) - 1 for row in tokens], device=hidden.device)
        logits = self.head(hidden[torch.arange(len(chunk), device=hidden.device), last])
        for row, (i, step) in enumerate(chunk):
            segment = rows.segment(row, start, start + len(tokens[row]) - 1, places[i].segment)
            self.cache.places[prefixes[i] + step.text] = Place(segment, (tokens[row][-1],))
        return [round(float(value), 6) for value in reward(logits)[:, 0]]
