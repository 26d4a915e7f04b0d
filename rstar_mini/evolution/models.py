"""The models of a round, ready to search and to score."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rstar_mini.adapters import SharedBase, View, linear_layers
from rstar_mini.api_key import key_of_recipe
from rstar_mini.errors import UserError
from rstar_mini.evaluation.chat import ASK
from rstar_mini.evolution.capacity import Capacity, capacity
from rstar_mini.models import (
    DTYPES,
    base_folder,
    check_saving,
    device,
    load_base,
    load_policy,
    load_ppm,
    no_four_bits,
    sum_layers_in_fp32,
    vocabulary,
)
from rstar_mini.paths import data_file
from rstar_mini.policy import Policy
from rstar_mini.policy.endpoint import EndpointPolicy
from rstar_mini.policy.memory import TABLE_BYTES
from rstar_mini.policy.transformers_policy import TransformersPolicy
from rstar_mini.policy.vllm_server import Adapter, VllmPolicy
from rstar_mini.ppm.model import check_ppm, ppm_from_policy
from rstar_mini.ppm.scorer import PPMScorer
from rstar_mini.prompts import CHAT, DEMONSTRATIONS, TEMPLATES, Prompt, chat_prompt
from rstar_mini.recipes import Recipe
from rstar_mini.recipes.schema import PolicySettings
from rstar_mini.tokens import check_known
from rstar_mini.training import AnyModel

SHIPPED = "tiny-evolved"
READING = 1.25  # of a cache: its trees, and the rows in which it reads
Loaded = tuple[Policy, PPMScorer | None]
"""A policy, and what judges it."""


class Models:
    """The models of a run: the base and what the rounds made of it, each loaded when it is asked for.

    `notes` says what of the recipe this machine does in another way.

    Args:
        recipe: names the base, the prompt, what is trained, and the precision of search.
        folder: holds round-1/policy, round-1/ppm and so on; of the shipped weights only the last round is there.
        kept: how much to decode at once; None: what the run in the folder has chosen, or what fits now.
        free: bytes of memory where the models will search, if that is not here.
    """

    def __init__(self, recipe: Recipe, folder: Path, kept: Capacity | None = None, free: int | None = None) -> None:
        self.recipe, self.folder = recipe, folder
        self.settings, self.notes = possible(recipe.policy)
        self.dtype = DTYPES[self.settings.dtype]
        base, self.tokenizer = self._load()
        self._check(base)
        self.own_words = self._own_words()
        self.capacity = kept or capacity(folder, self.settings, base, free)
        self._unused: PreTrainedModel | None = base

    def _check(self, base: PreTrainedModel) -> None:
        """See before search has worked for it that the base can be trained and saved, and that it knows its prompts."""
        name = self.settings.base
        if self.settings.tuning == "full":
            check_saving(base, name)
            if self.recipe.method == "mcts":
                check_ppm(base, name)
        else:
            linear_layers(base)
        for number in (0, 1):
            check_known(self.tokenizer, self.prompt(number)("How many?"), name, vocabulary(base))
        if self.tokenizer.eos_token_id is None:
            pad = self.tokenizer.pad_token
            self.notes.append(f"the tokenizer of '{name}' has no end of text: steps end by their tags, {pad!r} pads")

    def _own_words(self) -> Prompt | None:
        """The prompt by which round 0 asks the base in its own words; None without a chat template that works."""
        if not self.tokenizer.chat_template:
            return None
        try:
            return chat_prompt(self.tokenizer, ask=ASK)
        except UserError as error:
            self.notes.append(f"round 0 does not ask the base in its own words: {error}")
            return None

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The base as it is trained: in fp32, or frozen in the precision of search, or in 4 bits."""
        if self.settings.tuning == "full":
            return load_base(self.settings.base)
        return load_base(self.settings.base, self.dtype, self.settings.tuning == "qlora")

    def _base(self) -> PreTrainedModel:
        """The base for one use that may change it."""
        model, self._unused = self._unused, None
        return model or self._load()[0]

    @cached_property
    def shared(self) -> SharedBase:
        """The frozen base with its adapters."""
        return SharedBase(self._placed(self._base()), self.settings.lora_rank)

    def prompt(self, number: int) -> Prompt:
        """Zero-shot for a fine-tuned policy; for a base that has not seen the format, round 0, with worked examples."""
        shots = DEMONSTRATIONS[: self.settings.shots] if number == 0 else ()
        if self.settings.prompt == CHAT:
            return chat_prompt(self.tokenizer, shots)
        return Prompt(TEMPLATES[self.settings.prompt], shots)

    def weights(self, number: int) -> PreTrainedModel:
        """The policy's weights after a round, in fp32, adapters merged."""
        if number == 0:
            return load_base(self.settings.base)[0]
        return load_policy(self.folder / f"round-{number}" / "policy", self.settings.base)

    def policy_to_train(self, seed: int) -> AnyModel:
        """What a round's policy is made of (section 3.2): the base, or a new adapter on it."""
        return self._base() if self.settings.tuning == "full" else self.shared.to_train_policy(seed)

    def ppm_to_train(self, number: int, seed: int) -> AnyModel:
        """What a round's PPM is made of (section 3.3): the round's policy, or its adapter, with a new head."""
        if self.settings.tuning == "full":
            return ppm_from_policy(self.weights(number), seed)
        return self.shared.to_train_ppm(self.folder / f"round-{number}" / "policy", seed)

    def _placed(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model on the GPU, when there is one, in the precision of search; 4-bit weights are there already."""
        if getattr(model, "is_loaded_in_4bit", False):
            return model
        unlike = model.dtype != self.dtype
        moved: PreTrainedModel = model.to(device=device(), dtype=self.dtype)  # type: ignore[call-arg]  # hidden by transformers
        if unlike and self.dtype == torch.float16:
            sum_layers_in_fp32(moved)
        return moved

    def policy(self, number: int, prompt: Prompt | None = None, max_tokens: int | None = None) -> Policy:
        """The policy of a round, to be closed after use; round 0 is the base.

        Another prompt and length than those of the round's steps are for other texts, such as new problems.

        Raises:
            UserError: the recipe wants vLLM, which is not there or does not start.
        """
        prompt, most = prompt or self.prompt(number), max_tokens or self.settings.max_step_tokens
        if self.settings.engine == "vllm":
            return self._served(number, prompt, most)
        if self.capacity.adapters == "switched":
            model: PreTrainedModel | View = self._view("policy", number)
        else:
            model = self._placed(self.weights(number))
        rows, cache = self.capacity.batch_rows, self.capacity.cache_mb << 20
        return TransformersPolicy(model, self.tokenizer, prompt, most, rows, cache)

    def _served(self, number: int, prompt: Prompt, max_tokens: int) -> VllmPolicy:
        """The policy of a round as vLLM serves it: whole, or the base with the round's adapter.

        A base in safetensors is served where it lies. The PPM, which was loaded before, keeps room for its cache.
        """
        if self.settings.tuning == "full":
            model: PreTrainedModel | Path = self.weights(number).to(self.dtype)  # type: ignore[arg-type]  # as in `_placed`
        else:
            folder, gguf = base_folder(self.settings.base)
            model = load_base(self.settings.base, self.dtype)[0] if gguf else folder
        adapted = number > 0 and self.settings.tuning != "full"
        return VllmPolicy(
            model,
            str(self.dtype).removeprefix("torch."),
            self.tokenizer,
            prompt,
            max_tokens,
            self.capacity.batch_rows,
            Adapter(self.folder / f"round-{number}" / "policy", self.settings.lora_rank) if adapted else None,
            four_bits=self.settings.tuning == "qlora" and torch.cuda.is_available(),  # no such products on a CPU
            reserved=int(READING * (self.capacity.cache_mb << 20)) + 2 * TABLE_BYTES,
        )

    def searching_policy(self, number: int, prompt: Prompt | None = None, max_tokens: int | None = None) -> Policy:
        """The policy that makes the data of a round, to be closed after use: that of the round before; see `policy`.

        But in round 1 it is the endpoint when the recipe has one, as the paper's is a larger model that is not trained.
        """
        if self.settings.engine == "endpoint" and number == 1:
            assert self.settings.url and self.settings.served_model
            prompt, most = prompt or self.prompt(0), max_tokens or self.settings.max_step_tokens
            how = self.tokenizer, prompt, most, self.capacity.batch_rows
            key = key_of_recipe(self.settings.url)
            return EndpointPolicy(self.settings.url, self.settings.served_model, *how, key=key)
        return self.policy(number - 1, prompt, max_tokens)

    def scorer(self, number: int) -> PPMScorer:
        """The PPM of a round."""
        if self.capacity.adapters == "switched":
            model: PreTrainedModel | View = self._view("ppm", number)
        else:
            model = self._placed(load_ppm(self.folder / f"round-{number}" / "ppm", self.settings.base))
        return PPMScorer(model, self.tokenizer, self.prompt(number), self.capacity.cache_mb << 20)

    def for_search(self, number: int) -> Loaded:
        """What makes the data of a round: the policy, to be closed after use, and the PPM where the round uses one."""
        scorer = self.scorer(number - 1) if self.recipe.rounds[number - 1].annotation == "ppm" else None
        return self.searching_policy(number), scorer

    def for_evaluation(self, number: int, greedy_only: bool = False) -> Loaded:
        """What a round has made: the policy, to be closed after use, and the PPM where there is one and it is used."""
        guided = number > 0 and self.recipe.method == "mcts" and not greedy_only
        scorer = self.scorer(number) if guided else None
        return self.policy(number), scorer

    def _view(self, kind: str, number: int) -> View:
        if number == 0:
            return self.shared.view()
        return self.shared.view(f"{kind}-{number}", self.folder / f"round-{number}" / kind)


def possible(asked: PolicySettings) -> tuple[PolicySettings, list[str]]:
    """What this machine can do of what is asked, and a line on each change."""
    notes, changes = [], {}
    if asked.tuning == "qlora" and (reason := no_four_bits()):
        notes.append(f"{reason}: LoRA on {asked.dtype} weights instead of 4-bit ones")
        changes["tuning"] = "lora"
    if asked.dtype == "bf16" and torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0):
        notes.append("this GPU does not compute in bf16: fp16 instead")
        changes["dtype"] = "fp16"
    return asked.model_copy(update=changes), notes


def shipped_models(recipe: Recipe) -> Models:
    """The evolved tiny models that come with the project."""
    return Models(recipe, data_file(SHIPPED))
