"""The transformers engine: siblings decoded together as a trie, so that tokens they agree on are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.code_cot import STOPS
from rstar_mini.policy.base import Request
from rstar_mini.policy.memory import smaller
from rstar_mini.policy.prefix_cache import Place, PrefixCache, cached_encoder, extension
from rstar_mini.policy.shared_prefix import Rows
from rstar_mini.prompts import Prompt
from rstar_mini.types import Step


@dataclass(slots=True)
class _Row:
    """One distinct partial candidate: its request, its tokens, and the noise keys of the siblings that share it."""

    request: int
    tokens: list[int]
    keys: list[int]


@dataclass(slots=True)
class _Batch:
    requests: Sequence[Request]
    places: list[Place]
    rows: Rows
    live: list[_Row]
    done: list[list[tuple[int, Step]]] = field(default_factory=list)


class TransformersPolicy:
    """A causal language model as a policy.

    Args:
        model: any causal model of transformers, PEFT-wrapped or not, in evaluation mode.
        tokenizer: its tokenizer; the tags may be tokens of their own or plain text.
        prompt: how a question becomes the text before the first step.
        max_step_tokens: a step that has not ended by then is given up.
        batch_rows: most candidates decoded together.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompt: Prompt,
        max_step_tokens: int = 64,
        batch_rows: int = 1024,
    ) -> None:
        self.model, self.tokenizer, self.prompt = model, tokenizer, prompt
        self.max_step_tokens, self.batch_rows = max_step_tokens, batch_rows
        self.head = model.get_output_embeddings()
        self.cache = PrefixCache(model.get_decoder(), cached_encoder(tokenizer.encode))
        self.ends = _EndOfStep(tokenizer)
        self.sampled = 0

    def forget(self) -> None:
        """Free the key-value cache."""
        self.cache.forget()

    @torch.inference_mode()
    def propose(self, requests: Sequence[Request], temperature: float) -> list[list[Step]]:
        """`n` sampled steps for each request; see `Policy.propose`. When memory runs out, in smaller batches."""
        proposals: list[list[Step]] = []
        while len(proposals) < len(requests):
            rest = requests[len(proposals) :]
            fits = np.cumsum([request.n for request in rest]) <= self.batch_rows
            before = self.sampled, self.cache.forwarded
            try:
                proposals += self._propose(rest[: max(1, int(fits.sum()))], temperature)
            except (MemoryError, RuntimeError) as error:
                self.forget()
                self.batch_rows = smaller(error, self.batch_rows)
                self.cache.most = max(1, self.cache.most // 2)
                self.cache.shrunk += 1
                self.sampled, self.cache.forwarded = before
        return proposals

    def _propose(self, requests: Sequence[Request], temperature: float) -> list[list[Step]]:
        places = self.cache.open([self.prompt(r.problem.question) for r in requests], [r.steps for r in requests])
        rows, hidden = self.cache.extend([p.segment for p in places], [p.pending for p in places])
        live = [
            _Row(i, [], [request.key + sibling for sibling in range(request.n)]) for i, request in enumerate(requests)
        ]
        batch = _Batch(requests, places, rows, live, [[] for _ in requests])
        for position in range(self.max_step_tokens):
            self._sample(batch, self.head(hidden[:, -1]), position, temperature)
            if not batch.live:
                break
            ids = torch.tensor([[row.tokens[-1]] for row in batch.live], device=hidden.device)
            hidden = self.cache.forward(batch.rows, ids, torch.ones_like(ids, dtype=torch.bool))
        return [[step for _, step in sorted(done, key=lambda item: item[0])] for done in batch.done]

    def _sample(self, batch: _Batch, logits: Tensor, position: int, temperature: float) -> None:
        """Draw each sibling's next token, split rows whose siblings disagree, and put finished ones away."""
        keys = np.array([key for row in batch.live for key in row.keys], dtype=np.uint64)
        owner = np.repeat(np.arange(len(batch.live)), [len(row.keys) for row in batch.live])
        tokens = draw(logits.float().cpu(), owner, keys, position, temperature)
        self.sampled += len(keys)
        children: dict[tuple[int, int], _Row] = {}
        for row, token, key in zip(owner.tolist(), tokens.tolist(), keys.tolist(), strict=True):
            child = children.get((row, token))
            if child is None:
                old = batch.live[row]
                child = children[row, token] = _Row(old.request, [*old.tokens, token], [])
            child.keys.append(key)
        last = position + 1 == self.max_step_tokens
        sources, live = [], []
        for (row, _), child in children.items():
            if (text := self.ends(child.tokens)) is not None or last:
                self._finish(batch, row, child, text)
            else:
                sources.append(row)
                live.append(child)
        if live and sources != list(range(len(batch.live))):
            batch.rows.pick(torch.tensor(sources, device=batch.rows.owner.device))
        batch.live = live

    def _finish(self, batch: _Batch, row: int, child: _Row, text: str | None) -> None:
        """Turn a finished row into steps, one for each sibling, and keep its part of the cache for the children."""
        step = Step(self.ends.decode(child.tokens) if text is None else text, tokens=len(child.tokens))
        batch.done[child.request] += [(key, step) for key in child.keys]
        if text is not None and self.cache.encode(text) == tuple(child.tokens):
            request, place = batch.requests[child.request], batch.places[child.request]
            prefix = self.prompt(request.problem.question) + "".join(step.full_text for step in request.steps)
            segment = extension(batch.rows, row, len(child.tokens), place.segment)
            self.cache.places[prefix + text] = Place(segment, (child.tokens[-1],))


class _EndOfStep:
    """Recognises the end of a step: by token where the tags are tokens, else in the text of the last few tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        encoded = [tokenizer.encode(stop, add_special_tokens=False) for stop in STOPS]
        self.ids = {ids[0] for ids in encoded} if all(len(ids) == 1 for ids in encoded) else None
        self.tail = 2 + max(map(len, encoded))
        self.eos = tokenizer.eos_token_id

    def __call__(self, tokens: list[int]) -> str | None:
        """The step's text when the tokens end it (cut after the closing tag), else None."""
        if self.ids is not None:
            ended = tokens[-1] in self.ids
        else:
            ended = any(stop in self.decode(tokens[-self.tail :]) for stop in STOPS)
        if not ended:
            return self.decode(tokens) if tokens[-1] == self.eos else None
        text = self.decode(tokens)
        return text[: min(text.find(stop) + len(stop) for stop in STOPS if stop in text)]

    def decode(self, tokens: list[int]) -> str:
        """The text of the tokens, tags included."""
        text = self.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return cast(str, text)  # a list of texts comes back for lists of lists only


def draw(logits: Tensor, owner: np.ndarray, keys: np.ndarray, position: int, temperature: float) -> np.ndarray:
    """One token for each sibling by inverse transform sampling.

    Args:
        logits: [rows, vocabulary], one row for each distinct prefix.
        owner: [siblings], the row of each sibling.
        keys: [siblings], 64-bit noise keys.

    Returns:
        [siblings] token ids; temperature 0 takes the most likely token.
    """
    if temperature == 0:
        return logits.argmax(dim=-1).numpy()[owner]
    cdf = torch.softmax(logits / temperature, dim=-1).double().cumsum(dim=-1)
    noise = torch.from_numpy(uniform(keys, position))[:, None] * cdf[owner, -1:]
    return torch.searchsorted(cdf[owner], noise, right=True).clamp_(max=logits.shape[1] - 1).numpy()[:, 0]


def uniform(keys: np.ndarray, position: int) -> np.ndarray:
    """A uniform number in [0, 1) for each key at this position (splitmix64), whatever the batch around it."""
    with np.errstate(over="ignore"):
        x = keys * np.uint64(0x9E3779B97F4A7C15) + np.uint64(position + 1) * np.uint64(0xD1B54A32D192ED03)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (x ^ (x >> np.uint64(31))).astype(np.float64) / 2.0**64
