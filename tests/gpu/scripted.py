"""Searches whose lengths are those of a recorded run (`lengths.json`), with any model: all is real but what is written.

The engine samples as always, and then takes the token of the script instead. So what a model knows plays no part, and a
model of the right shape with random weights shows what search costs and holds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, Phi3Config, PreTrainedModel, PreTrainedTokenizerFast

from rstar_mini.code_cot import END_ANSWER, END_CODE, END_STEP, TAGS
from rstar_mini.policy import Request
from rstar_mini.policy.sampling import sample
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.types import Execution, Problem, Status

LENGTHS = json.loads(Path(__file__).with_name("lengths.json").read_text())
DEPTH = 4  # steps of a solution: the last two end the code, and answer
CUT = 128  # tokens of a step at most
BROKEN = "9"  # a program whose last line ends so does not run


def tokenizer() -> PreTrainedTokenizerFast:
    """A token for each character, and one for each tag."""
    characters = ["<pad>", "<eos>", "\n", *map(chr, range(32, 127))]
    made = Tokenizer(models.WordLevel({token: i for i, token in enumerate(characters)}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    made.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>")
    fast.add_special_tokens({"additional_special_tokens": list(TAGS)})
    return fast


def problems(count: int, longer: int = 0) -> list[Problem]:
    """Questions as long as the recorded ones, or so many tokens longer."""
    rng, lengths = random.Random(0), LENGTHS["questions"]
    return [
        Problem(f"p{i}", "".join(rng.choices("abcdefgh", k=lengths[i % len(lengths)] + longer)), "1")
        for i in range(count)
    ]


class Runs:
    """In the place of the sandbox: every program prints what it should, but for those whose last line breaks them."""

    def run_many(self, codes: Sequence[str]) -> list[Execution]:
        """One execution for each program."""
        return [
            Execution(Status.ERROR if code.rstrip().endswith(BROKEN) else Status.OK, "1\n" * code.count("print("))
            for code in codes
        ]


class Script:
    """What each sibling of each node writes, by its noise key."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokens: dict[int, list[int]] = {}
        self.tokenizer = tokenizer

    def note(self, request: Request) -> None:
        """Lay down what is written after a node: as many tokens as in a recorded one, as many of them shared."""
        rng = random.Random(request.key)
        node, before = rng.choice(LENGTHS["nodes"])["candidates"], ""
        for sibling in range(request.n):
            length, shared, kind, kept = node[sibling % len(node)]
            text = before = self._text(len(request.steps), before, rng, length, shared, kind, kept)
            self.tokens[request.key + sibling] = self.tokenizer.encode(text, add_special_tokens=False)

    def _text(
        self, depth: int, before: str, rng: random.Random, length: int, shared: int, kind: str, kept: bool
    ) -> str:
        if depth == DEPTH - 1:
            return f"<answer>\\boxed{{{rng.choice('1122345')}}}{END_ANSWER}"
        start = "" if depth else "<code>"
        start += "\nprint(1) #" if depth == DEPTH - 2 else "\nx = 1"
        end = "" if kind == "cut" else END_CODE if depth == DEPTH - 2 else END_STEP
        tags = (not depth) * (len("<code>") - 1)  # a tag is one token
        wanted = CUT if kind == "cut" else max(length, 24)
        count = wanted - (len(start) - tags) - 2 * bool(end)
        same = before[len(start) :][: max(0, shared - len(start) + tags)].rstrip("\n")
        digits = (same + "".join(rng.choices("12345678", k=count)))[: count - 1] + ("1" if kept else BROKEN)
        return start + digits + ("\n" + end if end else "")


def phi3(hidden: int, layers: int, heads: int, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Phi-3's architecture at another size, with random weights."""
    positions = {"max_position_embeddings": 4096, "original_max_position_embeddings": 4096}
    config = Phi3Config(
        hidden_size=hidden, intermediate_size=8 * hidden // 3, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=heads, vocab_size=len(tokenizer), pad_token_id=0, eos_token_id=1, bos_token_id=None,
        **positions,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model.eval()


class ScriptedEngine(TransformersPolicy):
    """The engine, which writes the script.

    Each step notes the candidates that are being written, those of all nodes at work, and whether others had to wait.
    """

    def __init__(self, model, tokenizer, prompt, batch_rows: int, cache_bytes: int) -> None:
        super().__init__(model, tokenizer, prompt, CUT, batch_rows, cache_bytes)
        self.script = Script(tokenizer)
        self.steps: list[tuple[int, int, bool]] = []
        self.pages = 0  # in use at most

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """As the engine does."""
        for request in requests:
            self.script.note(request)
        super().submit(requests, temperature)

    def collect(self):
        """As the engine does, but for the tokens."""
        with self._written():
            return super().collect()

    @contextmanager
    def _written(self) -> Iterator[None]:
        def scripted(head, hidden, owner, keys, position, temperature) -> np.ndarray:
            sample(head, hidden, owner, keys, position, temperature)
            at_work = sum(each.request.n for each in self._at_work)
            self.steps.append((len(keys), at_work, bool(self.admission.waiting)))
            self.pages = max(self.pages, int((self._rows.table >= 0).sum()))
            return np.array([self.script.tokens[key][at] for key, at in zip(keys.tolist(), position, strict=True)])

        with patch("rstar_mini.policy.transformers_policy.sample", scripted):
            yield
